"""Every vector of the wire and of tokens, as the gate and the other SDK run them."""

import json
import time

import authority
import pytest
from authority import _protocol as wire
from authority import _token
from authority._cbor import decode, encode
from authority._messages import FrameReader, parse_gate_message
from authority._shape import check
from support import fixture, revive, snake_keys

NOTHING = "nothing was refused"


def vectors(name):
    return fixture(f"vectors/{name}.json")["vectors"]


def code_of(action):
    try:
        action()
    except authority.AuthorityError as error:
        return error.code
    return NOTHING


def named(rows, key):
    return [pytest.param(row, id=str(row[key])) for row in rows]


@pytest.mark.parametrize("vector", named(vectors("protocol/values"), "meaning"))
def test_values(vector):
    data = bytes.fromhex(vector["hex"])
    assert encode(revive(vector["value"], {})) == data
    assert encode(decode(data)) == data


@pytest.mark.parametrize("vector", named(vectors("protocol/malformed-values"), "why"))
def test_malformed_values(vector):
    assert code_of(lambda: decode(bytes.fromhex(vector["hex"]))) == vector["error"]


def test_an_item_with_too_many_values():
    data = encode([0] * 4095)
    whole = b"\x89" + data * 9
    assert code_of(lambda: decode(whole)) == "E_PROTOCOL"
    assert code_of(lambda: encode([[0] * 4095] * 9)) == "E_PROTOCOL"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1 << 53, "E_PROTOCOL"),
        (-(1 << 53), "E_PROTOCOL"),
        (1.5, "E_PROTOCOL"),
        ({}, "E_PROTOCOL"),
        ("\ud800", "E_PROTOCOL"),
        ([0] * 4097, "E_PROTOCOL"),
        ([[[[[[[[[0]]]]]]]]], "E_PROTOCOL"),
        (bytes(1 << 20), "E_FRAME_TOO_LARGE"),
    ],
)
def test_what_the_wire_does_not_have_is_not_encoded(value, code):
    assert code_of(lambda: encode(value)) == code


@pytest.mark.parametrize("step", [1, 3, 1 << 20])
@pytest.mark.parametrize("vector", [*vectors("protocol/frames"), *vectors("protocol/malformed-frames")])
def test_frames(vector, step):
    data, frames, reader = bytes.fromhex(vector["hex"]), [], FrameReader()

    def push():
        for at in range(0, len(data), step):
            for session, item in reader.push(data[at : at + step]):
                frames.append([session, item.hex()])

    assert code_of(push) == vector.get("error", NOTHING)
    assert frames == vector["frames"]


def test_messages_of_a_gate():
    for vector in vectors("protocol/messages"):
        if vector["from"] == "gate":
            parse_gate_message(bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize("vector", named([row for row in vectors("protocol/malformed-messages") if row["from"] == "gate"], "why"))
def test_malformed_messages_of_a_gate(vector):
    assert code_of(lambda: parse_gate_message(bytes.fromhex(vector["hex"]))) == vector["error"]


@pytest.mark.parametrize("vector", named(vectors("protocol/operations"), "operation"))
def test_operations(vector):
    row = wire.OPERATIONS[vector["operation"]]
    args, result = revive(vector["args"], {}), revive(vector["result"], {})
    check(row.args, row.arg_types, args, vector["operation"])
    check(row.result, row.result_types, result, vector["operation"])
    assert (row.code, encode(args).hex(), encode(result).hex()) == (vector["code"], vector["argsHex"], vector["resultHex"])


@pytest.mark.parametrize("vector", vectors("protocol/malformed-operations"))
def test_malformed_operations(vector):
    row = wire.OPERATIONS[vector["operation"]]
    args = revive(vector["args"], {})
    assert code_of(lambda: check(row.args, row.arg_types, args, vector["operation"])) == vector["error"]


@pytest.mark.parametrize("vector", named(vectors("capability/narrowing"), "name"))
def test_narrowing(vector):
    def narrow():
        if vector.get("seal"):
            return authority.seal(vector["parent"])
        restriction = vector.get("restriction")
        return authority.attenuate(vector["parent"], snake_keys(json.loads(vector["restriction_json"]) if restriction is None else restriction))

    if "error" in vector:
        assert code_of(narrow) == vector["error"]
    else:
        assert narrow() == vector["token"]


@pytest.mark.parametrize("vector", named([row for row in vectors("capability/malformed") if row["seen_by"] == "format"], "name"))
def test_malformed_tokens_are_not_narrowed(vector):
    assert code_of(lambda: authority.attenuate(vector["token"], {"uses": 1})) == vector["error"]
    assert code_of(lambda: authority.seal(vector["token"])) == vector["error"]


def test_every_genuine_token_can_be_sealed():
    for vector in vectors("capability/tokens"):
        assert authority.seal(vector["token"]).startswith("cap1_")


@pytest.mark.parametrize(("ttl", "ms"), [("90s", 90_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000), (1234, 1234)])
def test_ttl_is_an_expiry_from_now(ttl, ms):
    assert _token._encode_restriction({"ttl": ttl}, 1_000_000) == _token._encode_restriction({"expires": 1_000_000 + ms}, 0)


@pytest.mark.parametrize("ttl", ["5", "5 m", "-5m", "1e3ms", "", "٥m", 0, -1, 1.5, True])
def test_what_is_no_ttl_is_refused(ttl):
    token = vectors("capability/tokens")[0]["token"]
    assert code_of(lambda: authority.attenuate(token, {"ttl": ttl})) == "E_CAP_INVALID"
    assert code_of(lambda: authority.attenuate(token, {"ttl": "5m", "expires": int(time.time())})) == "E_CAP_INVALID"
