"""fixtures/sdk/hostile.json: what a gate that breaks the protocol, lies or says nothing does to this client."""

import pytest
from authority import AuthorityError, Client, ConnectionLost
from authority import _protocol as wire
from authority._connection import Connection
from authority._wait import Limit
from support import WELCOME, FakeGate, fixture, play, revive

# Short where the gate stays silent, because that costs the whole deadline; long where it must be the gate's own words that end the call.
SILENT_MS = 150
PATIENT_MS = 20_000
CASES = fixture("sdk/hostile.json")["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_gate_that(case):
    timeout_ms = SILENT_MS if case["error"] == "E_TIMEOUT" else PATIENT_MS
    with FakeGate(lambda message, session: behave(case, message, session)) as gate:
        limit = Limit(timeout_ms if case.get("connect") else PATIENT_MS)
        if case.get("connect"):
            expect_failure(lambda: Connection(gate.socket, None, timeout_ms, limit, 0), case)
            return
        with Client(Connection(gate.socket, None, timeout_ms, limit, 0), 0, None) as client:
            stored = {"client": client}
            if case.get("opened"):
                stored["file"] = client.fs.open("/a")
            for step in case.get("before", []):
                play(step, stored)
            expect_failure(lambda: play(case["call"], stored), case)
            if case.get("lost"):
                expect_failure(client.ping, case)


def expect_failure(action, case):
    with pytest.raises(AuthorityError) as caught:
        action()
    assert (caught.value.code, isinstance(caught.value, ConnectionLost)) == (case["error"], case.get("lost", False))
    assert str(caught.value)


def behave(case, message, session):
    if message[0] == wire.MESSAGE_HELLO:
        for say in case["hello"]:
            speak(session, say, 0)
    elif message[0] == wire.MESSAGE_REQUEST and case.get("opened") and message[2] == wire.OPERATIONS["fs.open"].code:
        session.item([wire.MESSAGE_RESULT, message[1], [1, 0]])
    elif message[0] == wire.MESSAGE_REQUEST:
        for say in case.get("request", []):
            speak(session, say, message[1])


def speak(session, say, number):
    if say == "welcome":
        session.item(WELCOME)
    elif say == "close":
        session.close()
    elif "raw" in say:
        session.raw(bytes.fromhex(say["raw"]))
    else:
        item = revive(with_id(say["item"], number), {})
        for _ in range(say.get("repeat", 1)):
            session.item(item)


def with_id(item, number):
    if item == "$id":
        return number
    return [with_id(each, number) for each in item] if isinstance(item, list) else item
