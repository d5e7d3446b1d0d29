"""Records: their one form, their fields, and the rules between them (FORMAT.md "Records")."""

from __future__ import annotations

import json
import re
from typing import Any, Callable

MAX_SAFE = 2**53 - 1
MAX_OPEN = 131_072
MAX_NESTING = 64
MAX_LIMITED = 16_384
SLICE_MS = 250
DIMENSIONS = {"calls", "tool_calls", "tokens", "cost_nano_usd", "bytes", "wall_time_ms", "cpu_ms", "concurrency", "log_bytes"}
LEVELS = {"concurrency"}
KNOWN = LEVELS | {"bytes"}
SLICED = {"wall_time_ms", "cpu_ms"}

Check = Callable[[Any], bool]


class _Number(float):
    """A number that is no integer in its text; keeps the text."""

    text: str


def _float(text: str) -> _Number:
    value = _Number(text)
    value.text = text
    return value


def _js_number(value: float) -> str:
    """Number::toString of ECMAScript."""
    if value == 0:
        return "0"
    if value in (float("inf"), float("-inf")):
        return "null"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len((whole + fraction).lstrip("0")))
    digits = digits.rstrip("0") or "0"
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"


_ESCAPES = {0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}
_SPECIAL = re.compile('[\x00-\x1f"\\\\\ud800-\udfff]')


def _js_string(text: str) -> str:
    def escape(match: re.Match[str]) -> str:
        code = ord(match.group())
        return _ESCAPES.get(code) or f"\\u{code:04x}"

    return f'"{_SPECIAL.sub(escape, text)}"'


def _is_index(key: str) -> bool:
    return key == "0" or (re.fullmatch(r"[1-9][0-9]{0,9}", key) is not None and int(key) < 2**32 - 1)


class NotCanonical(ValueError):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotCanonical
    # ECMAScript puts keys that are array indices first, ascending: in any other order the text is not what JSON.stringify writes.
    indices = [int(key) for key in value if _is_index(key)]
    if indices and (indices != sorted(indices) or not all(_is_index(key) for key in list(value)[: len(indices)])):
        raise NotCanonical
    return value


def _write(value: Any) -> str:
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _js_string(value)
    if isinstance(value, (int, float)):
        return _js_number(float(value))
    if isinstance(value, list):
        return "[" + ",".join(map(_write, value)) + "]"
    return "{" + ",".join(f"{_js_string(key)}:{_write(item)}" for key, item in value.items()) + "}"


def _constant(_: str) -> Any:
    raise NotCanonical


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_float, parse_constant=_constant)


def _nests(value: Any, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_nests(item, levels - 1) for item in inner)


def parse(payload: bytes) -> dict[str, Any] | str:
    """The object of a payload, or a sentence that says why it is none."""
    try:
        source = payload.decode("utf-8")
        value = _DECODER.decode(source)
        if not isinstance(value, dict):
            return "the record is not a JSON object"
        if _write(value) != source:
            raise NotCanonical
        if _nests(value, MAX_NESTING):
            return f"the record nests more than {MAX_NESTING} deep"
        return value
    except NotCanonical:
        return "the record is not in the one form a record is written in"
    except (ValueError, OverflowError, RecursionError):
        return "the record is not JSON in UTF-8"


def text(v: Any) -> bool:
    return isinstance(v, str)


def integer(v: Any) -> bool:
    return isinstance(v, int) and not isinstance(v, bool) and abs(v) <= MAX_SAFE


def count(v: Any) -> bool:
    return integer(v) and v >= 0


def flag(v: Any) -> bool:
    return isinstance(v, bool)


def obj(v: Any) -> bool:
    return isinstance(v, dict)


def hash_(v: Any) -> bool:
    return isinstance(v, str) and re.fullmatch("[0-9a-f]{64}", v) is not None


def id_(v: Any) -> bool:
    return isinstance(v, str) and re.fullmatch("[0-9a-f]{32}", v) is not None


def charges(v: Any) -> bool:
    return isinstance(v, dict) and all(map(count, v.values()))


class _Missing:
    pass


MISSING = _Missing()


def or_null(check: Check) -> Check:
    return lambda v: v is None or check(v)


def optional(check: Check) -> Check:
    return lambda v: v is MISSING or check(v)


def list_of(check: Check) -> Check:
    return lambda v: isinstance(v, list) and all(map(check, v))


def shaped(shape: dict[str, Check]) -> Check:
    return lambda v: isinstance(v, dict) and fits(v, shape)


def fits(value: dict[str, Any], shape: dict[str, Check]) -> bool:
    return all(check(value.get(field, MISSING)) for field, check in shape.items())


_claimed = optional(shaped({"pid": count, "exe": text}))
_decision: dict[str, Check] = {
    "op": text,
    "session": text,
    "action": or_null(text),
    "object": text,
    "requested": text,
    "rule": or_null(text),
    "policy": text,
    "claimed": _claimed,
}
_noted: dict[str, Check] = {"run": id_, "size": count, "root": hash_, "chain": hash_}
_stages = {"capability": count, "policy": count, "budget": count, "intent": count, "execute": count}

RUN_SHAPES: dict[str, dict[str, Check]] = {
    "RUN_START": {
        "run": id_,
        "installation": id_,
        "build": text,
        "operator_uid": count,
        "policy": text,
        "policy_source": text,
        "isolation": text,
        "limits": list_of(shaped({"account": text, "dimension": text, "limit": count})),
        "detail": obj,
    },
    "INTENT": {**_decision, "blocks": list_of(text), "accounts": list_of(text), "reserve": charges, "args": optional(text)},
    "OUTCOME": {
        "intent": count,
        "status": lambda v: v in ("ok", "error", "unknown", "void") if isinstance(v, str) else False,
        "code": optional(text),
        "captured": charges,
        "leased": optional(charges),
        "overrun": optional(flag),
        "detail": optional(obj),
        "us": optional(shaped({name: optional(check) for name, check in _stages.items()})),
    },
    "LEASE": {"intent": count, "reserve": charges},
    "CLOSE": {"intent": count, "captured": charges, "detail": obj},
    "DENY": {**_decision, "code": text, "reason": text, "fix": or_null(text), "guest_claimed": optional(flag)},
    "DENY_REPEAT": {"first": count, "count": count},
    "LOOK": {
        "counts": list_of(shaped({"op": text, "rule": or_null(text), "object": text, "count": count})),
        "guest_claimed": optional(flag),
    },
    "STDIO": {"fd": count, "bytes": count, "sha256": text},
    "TIME": {"captured": charges},
    "REVOKE": {"block": text, "by": text},
    "APPROVAL": {
        "event": text,
        "request": hash_,
        "op": text,
        "session": text,
        "action": text,
        "object": text,
        "rule": text,
        "policy": text,
        "by": or_null(text),
    },
    "POLICY": {"policy": text, "source": text, "previous": text, "by": text},
    "LIMIT": {"account": text, "limits": charges},
    "MARK": {"account": text, "dimension": text, "percent": count, "captured": count, "limit": count},
    "GUEST": {"event": text, "detail": obj},
    "CHECKPOINT": {"size": count, "root": hash_},
    "RECOVERED": {"bytes": count, "sha256": text},
    "FATAL": {"reason": text},
    "RUN_END": {"ended_by": text, "exit_code": integer, "effects": count, "denials": count, "spent": charges},
}

INSTALLATION_SHAPES: dict[str, dict[str, Check]] = {
    "INSTALLATION": {"installation": id_, "key": text},
    "KEY_ROTATED": {"certificate": text},
    "RUN_OPENED": {**_noted, "origin": text, "operator_uid": count, "build": text, "policy": text},
    "RUN_CHECKPOINT": _noted,
    "RUN_SEALED": {**_noted, "ended_by": text},
    "RUN_REMOVED": {"run": id_, "by_uid": count},
    "BUDGET_LIMITS": {"limits": charges, "by_uid": count},
    "BUDGET_LEASE": {"run": id_, "lease": charges},
    "BUDGET_RETURN": {"run": id_, "unused": charges},
    "BUDGET_SPENT": {"run": id_, "spent": charges},
    "RECOVERED": {"bytes": count, "sha256": text},
}

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


def read_record(payload: bytes, seq: int, shapes: dict[str, dict[str, Check]]) -> dict[str, Any] | str:
    """The fields of a record, or a sentence that says what is wrong with it."""
    value = parse(payload)
    if isinstance(value, str):
        return value
    if not integer(value.get("seq")) or value["seq"] != seq:
        return "the record has another number"
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in shapes:
        return f"records of type {kind!r} are not known"
    t = value.get("t")
    if not isinstance(t, str) or not _TIME.fullmatch(t) or not count(value.get("boot_ms")):
        return "the record has no time"
    return value if fits(value, shapes[kind]) else f"a field of the {kind} record is missing or wrong"
