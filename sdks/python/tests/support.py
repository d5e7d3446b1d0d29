"""What the tests of the SDK share: the fixtures of both SDKs, the calls they name, and a gate that says what a test says."""

import json
import os
import re
import socket
import struct
import tempfile
import threading
from pathlib import Path

from authority import _protocol as wire
from authority._cbor import decode, encode

ROOT = Path(__file__).resolve().parents[3]
WELCOME = [wire.MESSAGE_WELCOME, 1, 1, "00112233445566778899aabbccddeeff", 256, 256, 262144, 0]


def fixture(path):
    return json.loads((ROOT / "fixtures" / path).read_text(encoding="utf-8"))


def revive(value, stored):
    """`{"bytes": hex}`, `{"zeros": n}`, `{"text": "ab", "times": n}`, `{"parts": [one, after, the, other]}` and `{"stored": name}` as what they stand for."""
    if isinstance(value, list):
        return [revive(each, stored) for each in value]
    if not isinstance(value, dict):
        return value
    if "bytes" in value:
        return bytes.fromhex(value["bytes"]) if isinstance(value["bytes"], str) else value
    if "zeros" in value:
        return bytes(value["zeros"])
    if "times" in value:
        return value["text"] * value["times"]
    if "parts" in value:
        return (part for part in [revive(each, stored) for each in value["parts"]])
    if "stored" in value:
        return stored[value["stored"]]
    return {key: revive(each, stored) for key, each in value.items()}


def snake(name):
    """`readFile` of the fixtures is `read_file` here."""
    return re.sub(r"[A-Z]", lambda match: "_" + match.group().lower(), name)


def play(step, stored):
    """Performs one step of fixtures/sdk; `stored` holds `client` and what `as` named."""
    target = stored[step.get("on", "client")]
    *path, method = step["call"].split(".")
    for part in path:
        target = getattr(target, part)
    options = {snake(key): each for key, each in revive(step.get("options", {}), stored).items()}
    value = getattr(target, snake(method))(*(snake_keys(revive(each, stored)) for each in step.get("args", [])), **options)
    if "then" in step:
        value = getattr(value, snake(step["then"]))()
    if "as" in step:
        stored[step["as"]] = value
    return value


def snake_keys(value):
    """Objects among the arguments are restrictions, whose keys are in snake case here."""
    return {snake(key): snake_keys(each) for key, each in value.items()} if isinstance(value, dict) else value


class FakeSession:
    """One client's connection, seen from the gate."""

    def __init__(self, link):
        self._link = link
        self.heard = []
        self.changed = threading.Condition()

    def item(self, item):
        data = encode(item)
        self.raw(struct.pack(">II", 4 + len(data), 0) + data)

    def raw(self, data):
        try:
            self._link.sendall(data)
        except OSError:
            pass

    def close(self):
        self._link.shutdown(socket.SHUT_RDWR)

    def hears(self, matches):
        """The first message that matches, waiting for it."""
        with self.changed:
            assert self.changed.wait_for(lambda: any(matches(message) for message in self.heard), 20), "it was never said"
            return next(message for message in self.heard if matches(message))

    def requests(self):
        return [message for message in self.heard if message[0] == wire.MESSAGE_REQUEST]


class FakeGate:
    """A gate on a socket of its own; `on_message(message, session)` runs in a thread of each connection."""

    def __init__(self, on_message):
        self._on_message = on_message
        self._folder = tempfile.TemporaryDirectory(prefix="authority-sdk-")
        self.socket = os.path.join(self._folder.name, "gate.sock")
        self.sessions = []
        self._threads = []
        self._links = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self.socket)
        self._server.listen()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        for link in self._links:
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(10)
        self._server.close()
        self._folder.cleanup()

    def _accept(self):
        while True:
            try:
                link, _ = self._server.accept()
            except OSError:
                return
            session = FakeSession(link)
            self.sessions.append(session)
            self._links.append(link)
            thread = threading.Thread(target=self._serve, args=(link, session), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, link, session):
        with link, link.makefile("rb") as stream:
            while True:
                try:
                    header = stream.read(8)
                    if len(header) < 8:
                        return
                    message = decode(stream.read(struct.unpack(">I", header[:4])[0] - 4))
                except OSError:
                    return
                with session.changed:
                    session.heard.append(message)
                    session.changed.notify_all()
                self._on_message(message, session)


def welcoming(on_request, welcome=WELCOME):
    """Welcomes, and hands on requests."""

    def on_message(message, session):
        if message[0] == wire.MESSAGE_HELLO:
            session.item(welcome)
        elif message[0] == wire.MESSAGE_REQUEST:
            on_request(message, session)

    return on_message


def result(request, *values):
    return [wire.MESSAGE_RESULT, request[1], list(values)]
