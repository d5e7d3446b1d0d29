"""Sessions with a gate that keeps to the protocol."""

import os
import threading

import authority
import pytest
from authority import _protocol as wire
from authority._connection import Connection
from authority._wait import Limit
from support import WELCOME, FakeGate, result, welcoming

CHUNK = 64 * 1024


def code_of(action):
    with pytest.raises(authority.AuthorityError) as caught:
        action()
    return caught.value.code


def silent(_request, _session):
    pass


def connect(gate, **options):
    return authority.connect(gate.socket, token=None, **options)


def with_limits(in_flight=256, credit=262144):
    return [*WELCOME[:4], in_flight, 256, credit, 0]


def test_says_hello_with_the_newest_generation_its_name_and_the_token():
    with FakeGate(welcoming(silent)) as gate, authority.connect(gate.socket, token="cap1_x") as client:
        assert client.run == "00112233445566778899aabbccddeeff"
        assert gate.sessions[0].heard[0] == [1, 1, 1, "authority-python " + authority.__version__, "cap1_x"]


def test_reads_the_socket_and_the_token_file_from_the_environment(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("cap1_file\n")
    with FakeGate(welcoming(silent)) as gate:
        monkeypatch.setenv("AUTHORITY_SOCKET", gate.socket)
        monkeypatch.setenv("AUTHORITY_TOKEN_FILE", str(tmp_path / "token"))
        with authority.connect():
            assert gate.sessions[0].heard[0][4] == "cap1_file"
        with authority.connect(token=None):
            assert gate.sessions[1].heard[0][4] is None
        (tmp_path / "token").write_text("x" * 10_000)
        assert code_of(authority.connect) == "E_CONFLICT"
        monkeypatch.setenv("AUTHORITY_TOKEN_FILE", str(tmp_path / "none"))
        assert code_of(authority.connect) == "E_CONFLICT"


def test_no_gate_is_told_with_what_to_do(tmp_path):
    with pytest.raises(authority.ConnectionLost, match="authority run"):
        authority.connect(str(tmp_path / "gate.sock"))


def test_sends_a_deadline_ids_that_grow_and_the_handle_of_a_bound_view():
    def answer(request, session):
        session.item(result(request, 5 if request[2] == 0x0010 else b""))

    with FakeGate(welcoming(answer)) as gate, connect(gate) as client:
        client.ping(timeout_ms=1234)
        with client.bind("cap1_x") as view:
            view.ping()
        first, _, third, _ = gate.sessions[0].requests()
        assert (first[1], first[2], first[4], third[1], third[4]) == (1, 1, 0, 3, 5)
        assert 1000 < first[3] <= 1234


def test_many_threads_keep_to_what_may_be_in_flight_and_find_their_answers():
    held, most = [], []

    def answer(request, session):
        held.append(request)
        most.append(len(held))
        if len(held) < 3 and request[1] < 18:
            return
        while held:
            each = held.pop()
            session.item(result(each, each[5][0]))

    with FakeGate(welcoming(answer, with_limits(in_flight=3))) as gate, connect(gate) as client:
        answers = {}

        def ask(path):
            answers[path] = client.fs.readlink(path)

        threads = [threading.Thread(target=ask, args=(f"/{i}",)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert answers == {f"/{i}": f"/{i}" for i in range(20)}
        assert max(most) == 3


def test_a_call_that_times_out_is_cancelled_and_what_its_late_answer_opens_is_closed():
    late = []
    with FakeGate(welcoming(lambda request, _: late.append(request))) as gate:
        client = authority.Client(Connection(gate.socket, None, 20_000, Limit(20_000), 0), 0, None)
        assert code_of(lambda: client.fs.open("/a", timeout_ms=30)) == "E_TIMEOUT"
        assert code_of(lambda: client.net.connect("a.example", 80, timeout_ms=30)) == "E_TIMEOUT"
        session = gate.sessions[0]
        session.hears(lambda message: message == [wire.MESSAGE_CANCEL, 2])
        session.item(result(late[0], 7, 0))
        session.item(result(late[1], 1, "192.0.2.1"))
        assert session.hears(lambda message: message[0] == wire.MESSAGE_REQUEST and message[2] == 0x0104)[5] == [7]
        assert session.hears(lambda message: message[0] == wire.MESSAGE_STREAM_RESET)[1] == 1
        client.close()


def test_bytes_that_come_before_the_result_that_names_their_stream_are_its_first():
    def answer(request, session):
        session.item([wire.MESSAGE_STREAM_DATA, 1, b"early"])
        session.item([wire.MESSAGE_STREAM_END, 1])
        session.item(result(request, 200, "http://a.example/", [["X-A", "1"], ["x-a", "2"]], 1))

    with FakeGate(welcoming(answer)) as gate, connect(gate) as client:
        response = client.net.fetch("http://a.example/", method="POST", body="x")
        assert (response.ok, response.headers["x-a"], response.raw_headers) == (True, "1, 2", [("X-A", "1"), ("x-a", "2")])
        assert response.text() == "early"
        assert code_of(response.text) == "E_CONFLICT"
        # The gate keeps a stream until both ends have ended it.
        gate.sessions[0].hears(lambda message: message == [wire.MESSAGE_STREAM_END, 1])


def test_gives_credit_back_as_it_reads_and_sends_no_more_than_it_was_granted():
    state = {"streamed": 0, "granted": 0, "received": 0}

    def on_message(message, session):
        welcoming(lambda request, _: session.item(result(request, 1, "192.0.2.1")), with_limits(credit=2 * CHUNK))(message, session)
        if message[0] == wire.MESSAGE_STREAM_CREDIT:
            state["granted"] += message[2]
        if message[0] == wire.MESSAGE_STREAM_DATA:
            state["received"] += len(message[2])
            session.item([wire.MESSAGE_STREAM_CREDIT, 1, len(message[2])])
        while message[0] != wire.MESSAGE_HELLO and state["streamed"] < min(10 * CHUNK, 2 * CHUNK + state["granted"]):
            session.item([wire.MESSAGE_STREAM_DATA, 1, bytes(CHUNK)])
            state["streamed"] += CHUNK
            if state["streamed"] == 10 * CHUNK:
                session.item([wire.MESSAGE_STREAM_END, 1])

    with FakeGate(on_message) as gate, connect(gate) as client:
        stream = client.net.connect("a.example", 80)
        assert stream.address == "192.0.2.1"
        writer = threading.Thread(target=lambda: stream.write(bytes(7 * CHUNK)))
        writer.start()
        assert sum(len(part) for part in stream) == 10 * CHUNK
        writer.join(20)
        stream.end()
        gate.sessions[0].hears(lambda message: message == [wire.MESSAGE_STREAM_END, 1])
        assert state["received"] == 7 * CHUNK
        assert code_of(lambda: stream.write(b"x")) == "E_CANCELLED"


def test_a_write_that_is_not_taken_times_out_and_a_read_leaves_the_stream_usable():
    answer = welcoming(lambda request, session: session.item(result(request, 1, "192.0.2.1")), with_limits(credit=10))
    with FakeGate(answer) as gate, connect(gate) as client:
        stream = client.net.connect("a.example", 80)
        assert code_of(lambda: stream.write(b"01234567890", timeout_ms=20)) == "E_TIMEOUT"
        assert code_of(lambda: stream.read(timeout_ms=20)) == "E_TIMEOUT"
        gate.sessions[0].item([wire.MESSAGE_STREAM_DATA, 1, b"abc"])
        assert stream.read() == b"abc"


def test_a_stream_that_spoke_for_a_request_that_then_failed_is_given_up():
    def answer(request, session):
        if request[2] != 0x0201:
            return session.item(result(request, b""))
        session.item([wire.MESSAGE_STREAM_DATA, 1, b"a"])
        return session.item([wire.MESSAGE_ERROR, request[1], 40, "the log is full", "EIO", None])

    with FakeGate(welcoming(answer)) as gate, connect(gate) as client:
        assert code_of(lambda: client.net.connect("a.example", 80)) == "E_AUDIT"
        assert gate.sessions[0].hears(lambda message: message[0] == wire.MESSAGE_STREAM_RESET)[1] == 1
        client.ping()


def test_closing_ends_every_call_under_way_and_later_ones():
    arrived = threading.Event()
    with FakeGate(welcoming(lambda *_: arrived.set())) as gate:
        client = connect(gate)
        codes = []
        waiting = threading.Thread(target=lambda: codes.append(code_of(client.ping)))
        waiting.start()
        assert arrived.wait(20)
        client.close()
        client.close()
        waiting.join(20)
        assert [*codes, code_of(client.ping)] == ["E_CANCELLED", "E_CANCELLED"]


def test_what_is_wrong_already_never_leaves_this_process():
    with FakeGate(welcoming(silent)) as gate, connect(gate) as client:
        refused = [
            (lambda: client.ping(timeout_ms=0), "E_CONFLICT"),
            (lambda: client.ping(timeout_ms=float("nan")), "E_CONFLICT"),
            (lambda: client.ping(timeout_ms=600_001), "E_CONFLICT"),
            (lambda: client.fs.stat("x" * 5000), "E_PROTOCOL"),
            (lambda: client.fs.stat("\ud800"), "E_PROTOCOL"),
            (lambda: client.fs.open("/a", "rb"), "E_CONFLICT"),
            (lambda: client.net.connect("a.example", 0), "E_PROTOCOL"),
            (lambda: client.net.fetch("http://a.example", max_bytes=-1), "E_CONFLICT"),
            (lambda: client.net.fetch("http://a.example", method="PUT", body=7), "E_CONFLICT"),
            (lambda: client.call("no.such", []), "E_CONFLICT"),
        ]
        for action, code in refused:
            assert code_of(action) == code
        assert gate.sessions[0].requests() == []


def test_a_gate_that_does_not_read_costs_a_deadline_and_no_more():
    held = threading.Event()

    def on_message(message, session):
        if message[0] == wire.MESSAGE_HELLO:
            session.item(WELCOME)
            held.wait(20)

    with FakeGate(on_message) as gate:
        client = authority.Client(Connection(gate.socket, None, 20_000, Limit(20_000), 0), 0, None)
        codes = {code_of(lambda: client.call("tool.call", ["x", bytes(500_000)], timeout_ms=50)) for _ in range(4)}
        assert codes == {"E_TIMEOUT"}
        held.set()
        client.close()


def test_a_forked_child_is_told_to_connect_again():
    with FakeGate(welcoming(lambda request, session: session.item(result(request, b"")))) as gate, connect(gate) as client:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                client.ping()
            except authority.ConnectionLost:
                os.write(write, b"told")
            finally:
                os._exit(0)
        os.close(write)
        assert os.read(read, 10) == b"told"
        os.waitpid(child, 0)
        os.close(read)
        client.ping()


def test_leaves_no_descriptor_and_no_thread_behind():
    with FakeGate(welcoming(lambda request, session: session.item(result(request, b"")))) as gate:
        connect(gate).close()
        before = (len(os.listdir("/dev/fd")), threading.active_count())
        for _ in range(5):
            with connect(gate) as client:
                client.ping()
        for thread in gate._threads:
            thread.join(20)
        assert (len(os.listdir("/dev/fd")), threading.active_count()) <= before
