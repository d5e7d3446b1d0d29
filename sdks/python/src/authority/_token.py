"""Narrowing capability tokens offline (kernel/capability/FORMAT.md). Nothing here verifies: only the gate can."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ._cbor import encode
from ._errors import AuthorityError, make_error
from ._limits import MAX_SAFE_INTEGER

_PREFIX = "cap1_"
_VERSION = 1
_HEADER_BYTES = 57
_BLOCK_HEADER_BYTES = 3
_TAG_BYTES = 32
_MIN_BYTES = _HEADER_BYTES + _BLOCK_HEADER_BYTES + _TAG_BYTES
# Where the header holds its two times, u64 each.
_TIMES_AT = (41, 49)
_RESTRICT = 1

MAX_BINARY_BYTES = 4096
MAX_BLOCKS = 16
MAX_PATTERNS = 256
MAX_PATTERN_BYTES = 2048
MAX_RATE_COUNT = 10_000
MAX_RATE_PERIOD_MS = 86_400_000
MAX_RATE_BURST = 10_000
# ms since the epoch of 9999-12-31T23:59:59.999Z.
MAX_TIME_MS = 253_402_300_799_999

_MAX_TEXT = len(_PREFIX) + -(-MAX_BINARY_BYTES * 4 // 3)
_DIMENSIONS = (
    "calls",
    "tool_calls",
    "tokens",
    "cost_nano_usd",
    "bytes",
    "wall_time_ms",
    "cpu_ms",
    "concurrency",
    "log_bytes",
    "bytes_in",
    "bytes_out",
    "bytes_written",
    "tokens_in",
    "tokens_out",
)
_FS = ("read", "write")
_NET = ("dns", "connect", "listen")
_KEYS = ("fs", "net", "tools", "infer", "closed", "not_before", "expires", "ttl", "delegate", "uses", "rate", "budget")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class _Token(NamedTuple):
    body: bytes  # header and blocks as they stand: these bytes were MACed
    blocks: int
    tag: bytes


def attenuate(token: str, restriction: Mapping[str, Any]) -> str:
    """A token that allows only what both `token` and `restriction` allow. Raises E_CAP_INVALID.

    Offline: the tag of an open token is the key of its next block, so whoever holds a token can narrow it and nobody can take that back. A sealed one
    cannot be told from outside; narrowed, it is refused by the gate. Keys, all optional: fs {look, read, write}, net {dns, connect, listen}, tools, infer (lists
    of policy patterns); closed (what is not named allows nothing); not_before, expires (ms since the epoch); ttl (ms from now, or "90s", "5m", "1h");
    delegate, uses, rate {count, period_ms, burst}, budget {dimension: limit}.
    """
    parent = _parse(token)
    if parent.blocks >= MAX_BLOCKS:
        raise _invalid_token(f"it has {MAX_BLOCKS} blocks already and cannot be narrowed further")
    payload = _encode_restriction(restriction, int(time.time() * 1000))
    body = parent.body + len(payload).to_bytes(2, "big") + bytes((_RESTRICT,)) + payload
    message = b"\x01" + len(payload).to_bytes(4, "big") + bytes((_RESTRICT,)) + payload
    return _serialise(body, _mac(parent.tag, message))


def seal(token: str) -> str:
    """The same token, never to be narrowed again. Raises E_CAP_INVALID."""
    parent = _parse(token)
    return _serialise(parent.body, _mac(parent.tag, b"\x02seal"))


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _parse(text: str) -> _Token:
    """Refuses what no gate would take, before any cryptography."""
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise _invalid_token(f"it is no text of at most {_MAX_TEXT} characters")
    if not text.startswith(_PREFIX):
        raise _invalid_token(f"it does not begin with {_PREFIX}")
    data = _decode_base64url(text[len(_PREFIX) :])
    if len(data) > MAX_BINARY_BYTES:
        raise _invalid_token(f"it is longer than {MAX_BINARY_BYTES} bytes")
    if len(data) < _MIN_BYTES:
        raise _invalid_token("it is too short to hold a header, a grant and a tag")
    if data[0] != _VERSION:
        raise _invalid_token(f"version {data[0]} is unknown to this build")
    for at in _TIMES_AT:
        if int.from_bytes(data[at : at + 8], "big") > MAX_SAFE_INTEGER:
            raise _invalid_token("one of its times is beyond 2^53−1")
    end = len(data) - _TAG_BYTES
    return _Token(data[:end], _count_blocks(data, end), data[end:])


def _count_blocks(data: bytes, end: int) -> int:
    blocks, at = 0, _HEADER_BYTES
    while at < end:
        if end - at < _BLOCK_HEADER_BYTES:
            raise _invalid_token("it ends inside the header of a block")
        at += _BLOCK_HEADER_BYTES + int.from_bytes(data[at : at + 2], "big")
        blocks += 1
        if at > end:
            raise _invalid_token("a block is longer than the token")
        if blocks > MAX_BLOCKS:
            raise _invalid_token(f"it has more than {MAX_BLOCKS} blocks")
    return blocks


def _serialise(body: bytes, tag: bytes) -> str:
    data = body + tag
    if len(data) > MAX_BINARY_BYTES:
        raise _invalid_token(f"it would be {len(data)} bytes long, {MAX_BINARY_BYTES} are allowed")
    return _PREFIX + base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode_base64url(text: str) -> bytes:
    """Strict: the platform's decoder takes many texts for one byte string, so the one canonical text is compared."""
    if re.fullmatch(r"[A-Za-z0-9_-]*", text):
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") == text:
                return data
        except binascii.Error:
            pass
    raise _invalid_token("it is not canonical base64url")


def _encode_restriction(value: Mapping[str, Any], now_ms: int) -> bytes:
    """The payload of a RESTRICT block. An unknown key is an error, since what is misspelt would restrict nothing."""
    own = _entries(value, "the restriction", _KEYS)
    if not own:
        raise _unusable("the restriction restricts nothing")
    closed = own.get("closed", False)
    if not isinstance(closed, bool):
        raise _unusable("closed is not true or false")
    fs = _entries(own.get("fs", {}), "fs", (*_FS, "look"))
    net = _entries(own.get("net", {}), "net", _NET)
    payload = [
        closed,
        *(_patterns(fs.get(name), f"fs.{name}") for name in _FS),
        *(_patterns(net.get(name), f"net.{name}") for name in _NET),
        _patterns(own.get("tools"), "tools"),
        _patterns(own.get("infer"), "infer"),
        _integer(own, "not_before", 0, MAX_TIME_MS),
        _expiry(own, now_ms) if "ttl" in own else _integer(own, "expires", 0, MAX_TIME_MS),
        _integer(own, "delegate", 0, MAX_BLOCKS - 1),
        _integer(own, "uses", 0, MAX_SAFE_INTEGER),
        _rate(own.get("rate")),
        _budget(own.get("budget")),
        # Added later: it stands last, and only where it is given.
        *([_patterns(fs["look"], "fs.look")] if "look" in fs else []),
    ]
    try:
        encoded = encode(payload)
    except AuthorityError as cause:
        raise _unusable("a value the format cannot hold") from cause
    if len(encoded) > MAX_BINARY_BYTES:
        raise _invalid_token(f"a restriction of {len(encoded)} bytes does not fit it")
    return encoded


def _expiry(own: Mapping[str, Any], now_ms: int) -> int:
    if "expires" in own:
        raise _unusable("ttl and expires both say when it ends")
    ttl = own["ttl"]
    match = re.fullmatch(r"([0-9]{1,12})(ms|s|m|h|d)", ttl) if isinstance(ttl, str) else None
    ms = int(match.group(1)) * _UNIT_MS[match.group(2)] if match else ttl
    if isinstance(ms, bool) or not isinstance(ms, int) or not 1 <= ms <= MAX_SAFE_INTEGER:
        raise _unusable("ttl is neither ms nor a time such as 90s, 5m, 1h")
    return min(now_ms + ms, MAX_TIME_MS)


def _patterns(value: Any, name: str) -> Optional[List[str]]:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        raise _unusable(f"{name} is not a list of patterns")
    if len(value) > MAX_PATTERNS:
        raise _unusable(f"{name} has more than {MAX_PATTERNS} patterns")
    for pattern in value:
        if not isinstance(pattern, str) or not pattern:
            raise _unusable(f"{name} holds something that is not a pattern")
        if len(pattern.encode("utf-8", "surrogatepass")) > MAX_PATTERN_BYTES:
            raise _unusable(f"{name}: a pattern is longer than {MAX_PATTERN_BYTES} bytes")
    return list(value)


def _rate(value: Any) -> Optional[List[int]]:
    if value is None:
        return None
    own = _entries(value, "rate", ("count", "period_ms", "burst"))
    return [
        _required(own, "count", 1, MAX_RATE_COUNT),
        _required(own, "period_ms", 1, MAX_RATE_PERIOD_MS),
        _required(own, "burst", 1, MAX_RATE_BURST),
    ]


def _budget(value: Any) -> Optional[List[List[Any]]]:
    """Pairs in the order of the format: one encoding for one budget."""
    if value is None:
        return None
    own = _entries(value, "budget", _DIMENSIONS)
    return [[name, _required(own, name, 0, MAX_SAFE_INTEGER)] for name in _DIMENSIONS if name in own]


def _required(own: Mapping[str, Any], key: str, least: int, most: int) -> int:
    value = _integer(own, key, least, most)
    if value is None:
        raise _unusable(f"{key} is missing")
    return value


def _integer(own: Mapping[str, Any], key: str, least: int, most: int) -> Optional[int]:
    if key not in own:
        return None
    value = own[key]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _unusable(f"{key} is not an integer from {least} to {most}")
    return value


def _entries(value: Any, name: str, known: Sequence[str]) -> Dict[str, Any]:
    """What is there, None left out."""
    if not isinstance(value, Mapping):
        raise _unusable(f"{name} is not a mapping")
    for key in value:
        if key not in known:
            raise _unusable(f"{name} has the unknown key {key!r}; known are {', '.join(known)}")
    return {key: held for key, held in value.items() if held is not None}


def _invalid_token(cause: str) -> AuthorityError:
    return make_error("E_CAP_INVALID", f"the token cannot be used: {cause}")


def _unusable(cause: str) -> AuthorityError:
    return make_error("E_CAP_INVALID", f"the token cannot be narrowed so: {cause}")
