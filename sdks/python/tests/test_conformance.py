"""fixtures/sdk/conformance.json against the real gate: `authority gate serve`, without a machine."""

import http.server
import io
import itertools
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import authority
import pytest
from support import ROOT, fixture, play, revive

BINARY = ROOT / "dist" / "authority"
START_SECONDS = 60
SPEC = fixture("sdk/conformance.json")


class Service(http.server.BaseHTTPRequestHandler):
    """The routes conformance.json fetches."""

    protocol_version = "HTTP/1.1"
    released = threading.Event()

    def do_GET(self):
        if self.path == "/hello":
            self.answer(200, b"hello", [("X-Twice", "a"), ("X-Twice", "b")])
        elif self.path == "/json":
            self.answer(200, b'{"n":[1,2,3]}')
        elif self.path == "/big":
            self.answer(200, b"x" * 1_000_000)
        elif self.path == "/redirect":
            self.answer(302, b"", [("Location", "/hello")])
        elif self.path == "/away":
            self.answer(302, b"", [("Location", "http://collector.example/")])
        elif self.path == "/slow":
            self.released.wait(30)
        else:
            self.answer(404, b"none")

    def do_POST(self):
        body = self.read_body()
        if self.path == "/again":
            self.answer(307, b"", [("Location", "/length")])
        elif self.path == "/length":
            length = self.headers["content-length"] or len(body)
            self.answer(200, f"{self.command} {length}: {len(body)}".encode())
        else:
            self.answer(200, f"POST {self.headers['x-mine']} ".encode() + body)

    do_PUT = do_POST

    def read_body(self):
        if self.headers["transfer-encoding"] != "chunked":
            return self.rfile.read(int(self.headers["content-length"]))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.headers["connection"] == "close":
            self.send_header("Connection", "close")  # as RFC 9112, 9.6 asks of a server
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Threaded(socketserver.ThreadingTCPServer):
    daemon_threads = True


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def serving(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


@pytest.fixture(scope="module")
def world():
    """Ports, and the socket of a gate that serves SPEC's policy over SPEC's tree."""
    assert BINARY.exists(), "npm run build first: these tests run the compiled binary"
    Service.released.clear()
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    web.handle_error = lambda *_: None  # a client that gives up is part of the test
    echo = Threaded(("127.0.0.1", 0), Echo)
    ports = {"$HTTP": serving(web), "$ECHO": serving(echo), "$LISTEN": free_port()}
    folder = Path(tempfile.mkdtemp(prefix="authority-sdk-"))
    write_tree(folder / "tree")
    (folder / "policy.json").write_text(json.dumps(with_ports(SPEC["policy"], ports)))
    gate = start_gate(folder)
    try:
        yield {"socket": str(folder / "gate.sock"), "ports": ports, "folder": folder}
    finally:
        gate.send_signal(signal.SIGTERM)
        gate.wait(30)
        gate.stderr.close()
        Service.released.set()
        for server in (web, echo):
            server.shutdown()
            server.server_close()
        shutil.rmtree(folder)


def start_gate(folder):
    command = [BINARY, "gate", "serve", "--policy", folder / "policy.json", "--socket", folder / "gate.sock", "-v", f"{folder / 'tree'}:/workspace"]
    env = {"PATH": os.environ["PATH"], "AUTHORITY_HOME": str(folder / "home")}
    gate = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    timer = threading.Timer(START_SECONDS, gate.kill)
    timer.start()
    said = ""
    for line in gate.stderr:
        said += line
        if "serving at" in line:
            timer.cancel()
            return gate
    timer.cancel()
    raise AssertionError(f"the gate did not start: {said}")


def write_tree(root):
    for name, content in SPEC["tree"].items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes.fromhex(content["bytes"]) if isinstance(content, dict) else content.encode())


def with_ports(value, ports):
    """`$HTTP`, `$ECHO` and `$LISTEN` in texts; alone they are numbers."""
    if isinstance(value, str):
        if value in ports:
            return ports[value]
        for name, port in ports.items():
            value = value.replace(name, str(port))
        return value
    if isinstance(value, list):
        return [with_ports(each, ports) for each in value]
    return {key: with_ports(each, ports) for key, each in value.items()} if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def stored(world):
    with authority.connect(world["socket"], token=None) as client:
        yield {"client": client}


@pytest.mark.parametrize("step", SPEC["steps"], ids=[step["name"] for step in SPEC["steps"]])
def test_step(step, stored, world):
    step = with_ports(step, world["ports"])
    if "error" in step:
        with pytest.raises(authority.AuthorityError) as caught:
            play(step, stored)
        expect_error(caught.value, step)
        return
    value = play(step, stored)
    if "length" in step:
        assert len(value) == step["length"]
    if step.get("sorted"):
        value = sorted(value, key=lambda entry: entry.name)
    if "result" in step:
        contains(value, revive(step["result"], stored))


def expect_error(error, step):
    assert error.code == step["error"], str(error)
    assert error.errno_name == step.get("errno", error.errno_name)
    for key, expected in step.get("denial", {}).items():
        assert getattr(error.denial, key) == expected
    if step["error"] in ("E_POLICY_DENY", "E_CAP_SCOPE"):
        assert error.denial.seq > 0
        assert "do not try another route" in str(error)


def contains(value, expected):
    """Objects of the fixtures are named tuples and attributes here; what is not named is not compared."""
    if isinstance(expected, dict):
        for key, each in expected.items():
            contains(value[key] if isinstance(value, dict) else getattr(value, "mtime_us" if key == "mtimeUs" else key), each)
    elif isinstance(expected, list):
        assert len(value) == len(expected)
        for one, each in zip(value, expected):
            contains(one, each)
    else:
        assert value == expected


def test_many_threads_share_one_session(world):
    with authority.connect(world["socket"], token=None) as client:
        failures = []

        def work(number):
            path = f"/workspace/out/thread-{number}"
            for round_number in range(5):
                client.fs.write_file(path, f"{number}.{round_number}")
                if client.fs.read_text(path) != f"{number}.{round_number}":
                    failures.append(path)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == [] and not any(thread.is_alive() for thread in threads)


def test_a_token_file_restricts_the_whole_session(world, monkeypatch, tmp_path):
    with authority.connect(world["socket"], token=None) as client:
        (tmp_path / "token").write_text(client.attenuate({"fs": {"read": ["/workspace/in/sub/**"]}, "closed": True}))
    monkeypatch.setenv("AUTHORITY_SOCKET", world["socket"])
    monkeypatch.setenv("AUTHORITY_TOKEN_FILE", str(tmp_path / "token"))
    with authority.connect() as client:
        assert client.fs.read_text("/workspace/in/sub/one.txt") == "1"
        with pytest.raises(authority.CapabilityError):
            client.fs.read_text("/workspace/in/hello.txt")


def test_one_line_narrows_for_as_long_as_a_with_lasts(world):
    with authority.connect(world["socket"], token=None) as client:
        token = client.attenuate({"fs": {"read": ["/workspace/in/sub/**"]}, "ttl": "5m", "uses": 3, "budget": {"calls": 2}})
        with client.bind(token) as narrow:
            assert narrow.fs.read_text("/workspace/in/sub/one.txt") == "1"
            with pytest.raises(authority.CapabilityError) as outside:
                narrow.fs.read_text("/workspace/in/hello.txt")
            assert outside.value.code == "E_CAP_SCOPE"
            [calls] = [row for row in narrow.budget.status() if row.account.startswith("block:") and row.limit is not None]
            assert (calls.limit, calls.captured) == (2, 1)
            [history] = [row for row in narrow.budget.history(calls.account) if row.dimension == "calls"]
            assert history.account == calls.account
            assert [point.captured for point in history.points] == [1]
            with pytest.raises(FileNotFoundError):
                client.budget.history(calls.account)
            [of_all] = [row for row in client.budget.history() if row.dimension == "calls"]
            [spent_by_run] = [row.captured for row in client.budget.status() if (row.account, row.dimension) == ("run", "calls")]
            assert of_all.points[-1].captured == spent_by_run
            assert abs(time.time() * 1000 - of_all.points[-1].time_ms) < 3_600_000
            narrow.fs.read_text("/workspace/in/sub/one.txt")
            with pytest.raises(authority.AuthorityError) as spent:
                narrow.fs.read_text("/workspace/in/sub/one.txt")
            assert spent.value.code == "E_BUDGET_EXCEEDED"
            with pytest.raises(authority.AuthorityError) as used:
                narrow.fs.read_text("/workspace/in/sub/one.txt")
            assert used.value.code == "E_CAP_RATE"
        assert client.fs.read_text("/workspace/in/hello.txt") == "hello\n"
        with pytest.raises(authority.AuthorityError):
            narrow.fs.read_text("/workspace/in/sub/one.txt")


def test_half_80_and_95_percent_of_a_budget_are_told_as_they_are_passed(world):
    one = "/workspace/in/sub/one.txt"
    with authority.connect(world["socket"], token=None) as client, client.bind(client.attenuate({"budget": {"calls": 4}})) as narrow:
        told = []
        listener = threading.Thread(target=lambda: told.extend(itertools.islice(narrow.budget.marks(), 3)))
        listener.start()
        for _ in range(4):
            narrow.fs.read_text(one)
        listener.join(60)
        assert [(mark.dimension, mark.percent, mark.captured, mark.limit) for mark in told] == [
            ("calls", 50, 2, 4),
            ("calls", 80, 4, 4),
            ("calls", 95, 4, 4),
        ]
        assert all(mark.account.startswith("block:") for mark in told)
        assert list(itertools.islice(narrow.budget.marks(), 3)) == told
        with pytest.raises(authority.AuthorityError) as quiet:
            next(client.budget.marks(timeout_ms=1))
        assert quiet.value.code == "E_TIMEOUT"
        with pytest.raises(authority.AuthorityError) as spent:
            narrow.fs.read_text(one)
        assert spent.value.code == "E_BUDGET_EXCEEDED"


def test_a_forged_token_ends_the_session(world):
    with pytest.raises(authority.CapabilityError):
        authority.connect(world["socket"], token="cap1_forged")


def test_a_program_under_gate_serve_finds_its_gate(world):
    folder = world["folder"]
    program = "import authority; c = authority.connect(); print(c.fs.read_text('/workspace/in/hello.txt'), end=''); c.close()"
    command = [BINARY, "gate", "serve", "--policy", folder / "policy.json", "-v", f"{folder / 'tree'}:/workspace", "--", sys.executable, "-c", program]
    env = {"PATH": os.environ["PATH"], "AUTHORITY_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT / "sdks/python/src")}
    ran = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (0, "hello\n"), ran.stderr


def test_bodies_are_files_generators_and_async_generators(world, tmp_path):
    url = f"http://127.0.0.1:{world['ports']['$HTTP']}/length"
    path = tmp_path / "body"
    path.write_bytes(b"f" * 700_000)

    async def parts():
        for _ in range(3):
            yield b"abc"

    with authority.connect(world["socket"], token=None) as client:
        with path.open("rb") as file:
            file.seek(1)
            assert client.net.fetch(url, "PUT", body=file).text() == "PUT 699999: 699999"
        with path.open() as text:
            assert client.net.fetch(url, "PUT", body=text).text() == "PUT 700000: 700000"
        assert client.net.fetch(url, "POST", body=io.BytesIO(b"abc")).text() == "POST 3: 3"
        assert client.net.fetch(url, "POST", body=parts()).text() == "POST 9: 9"
        assert client.net.fetch(url, "POST", body=["a", "bc"], body_bytes=3).text() == "POST 3: 3"


def test_what_a_body_raises_is_what_fetch_raises(world):
    def parts():
        yield b"begun"
        raise KeyError("mine")

    with authority.connect(world["socket"], token=None) as client:
        with pytest.raises(KeyError, match="mine"):
            client.net.fetch(f"http://127.0.0.1:{world['ports']['$HTTP']}/length", "POST", body=parts())
        client.ping()
