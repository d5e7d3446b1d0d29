"""The fields of each record type. A field FORMAT.md gives no form is only looked for."""

import re
from typing import Any, Callable, Dict, Tuple

from ._bounds import MAX_INTEGER
from ._report import Damage

DIMENSIONS = frozenset(("calls", "tool_calls", "tokens", "cost_nano_usd", "bytes", "wall_time_ms", "cpu_ms", "concurrency", "log_bytes"))
_ID = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"[0-9a-f]{64}")

Check = Callable[[Any], bool]


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_INTEGER


def is_amounts(value: Any) -> bool:
    if type(value) is not dict:
        return False
    for dimension, amount in value.items():
        if dimension not in DIMENSIONS or not is_count(amount):
            return False
    return True


def _any(_: Any) -> bool:
    return True


def _text(value: Any) -> bool:
    return type(value) is str



def _flag(value: Any) -> bool:
    return type(value) is bool


def _object(value: Any) -> bool:
    return type(value) is dict


def _list(value: Any) -> bool:
    return type(value) is list


def _texts(value: Any) -> bool:
    return type(value) is list and all(type(item) is str for item in value)


def _matches(pattern: "re.Pattern[str]") -> Check:
    return lambda value: type(value) is str and bool(pattern.fullmatch(value))


def _one_of(*values: str) -> Check:
    return lambda value: type(value) is str and value in values


def _leased_dimensions(value: Any) -> bool:
    return is_amounts(value) or (_texts(value) and all(item in DIMENSIONS for item in value))


def _limits(value: Any) -> bool:
    return type(value) is list and all(
        type(row) is dict and _text(row.get("account")) and row.get("dimension") in tuple(DIMENSIONS) and is_count(row.get("limit")) for row in value
    )


def _count_or_null(value: Any) -> bool:
    return value is None or is_count(value)


_id, _digest = _matches(_ID), _matches(_DIGEST)
_asked = {"op": _text, "session": _any, "action": _any, "object": _any, "requested": _any, "rule": _any, "policy": _any}

# Field to check; a name that ends in ? may be absent.
RUN_RECORDS: Dict[str, Dict[str, Check]] = {
    "RUN_START": {
        **{"run": _id, "installation": _id, "build": _any, "operator_uid": _any, "policy": _any, "policy_source": _any},
        **{"isolation": _any, "limits": _limits, "detail": _object},
    },
    "INTENT": {**_asked, "blocks": _list, "accounts": _texts, "reserve": is_amounts, "args?": _digest, "claimed?": _any},
    "OUTCOME": {
        **{"intent": is_count, "status": _one_of("ok", "error", "unknown", "void"), "code?": _any, "captured": is_amounts},
        **{"leased?": _leased_dimensions, "overrun?": _flag, "detail?": _any, "us?": _object},
    },
    "LEASE": {"intent": is_count, "reserve": is_amounts},
    "CLOSE": {"intent": is_count, "captured": is_amounts, "detail": _any},
    "DENY": {**_asked, "code": _text, "reason": _any, "fix": _any, "guest_claimed?": _any, "claimed?": _any},
    "DENY_REPEAT": {"first": is_count, "count": is_count},
    "LOOK": {"counts": _list, "guest_claimed?": _any},
    "STDIO": {"fd": is_count, "bytes": is_count, "sha256": _digest},
    "TIME": {"captured": is_amounts},
    "REVOKE": {"block": _any, "by": _any},
    "APPROVAL": {
        **{"event": _one_of("asked", "once", "run", "denied", "expired", "withdrawn"), "request": _digest, "op": _text},
        **{"session": _any, "action": _any, "object": _any, "rule": _any, "policy": _any, "by": _any},
    },
    "POLICY": {"policy": _any, "source": _any, "previous": _any, "by": _any},
    "LIMIT": {"account": _text, "limits": is_amounts},
    "LEASED": {"leased": is_amounts},
    "USES": {"block": _any, "used": _count_or_null},
    "MARK": {"account": _text, "dimension": _text, "percent": _any, "captured": is_count, "limit": is_count},
    "GUEST": {"event": _any, "detail": _any},
    "CHECKPOINT": {"size": is_count, "root": _digest},
    "RECOVERED": {"bytes": is_count, "sha256": lambda value: value == "" or _digest(value)},
    "FATAL": {"reason": _any},
    "RUN_END": {"ended_by": _text, "exit_code": _any, "effects": _any, "denials": _any, "spent": _any},
}

_state = {"run": _id, "size": is_count, "root": _digest, "chain": _digest}
INSTALLATION_RECORDS: Dict[str, Dict[str, Check]] = {
    "INSTALLATION": {"installation": _id, "key": _text},
    "KEY_ROTATED": {"certificate": _text},
    "RUN_OPENED": {**_state, "origin": _text, "operator_uid": _any, "build": _any, "policy": _any},
    "RUN_CHECKPOINT": _state,
    "RUN_SEALED": {**_state, "ended_by": _text},
    "RUN_REMOVED": {"run": _id, "by_uid": _any},
    "BUDGET_LIMITS": {"limits": is_amounts, "by_uid": _any},
    "BUDGET_LEASE": {"run": _id, "lease": is_amounts},
    "BUDGET_RETURN": {"run": _id, "unused": is_amounts},
    "BUDGET_SPENT": {"run": _id, "spent": is_amounts},
    "RECOVERED": RUN_RECORDS["RECOVERED"],
}


def _rows(types: Dict[str, Dict[str, Check]]) -> Dict[str, Tuple[Tuple[str, bool, Check], ...]]:
    return {name: tuple((key.rstrip("?"), key.endswith("?"), check) for key, check in fields.items()) for name, fields in types.items()}


_RUN_ROWS, _INSTALLATION_ROWS = _rows(RUN_RECORDS), _rows(INSTALLATION_RECORDS)
_ABSENT = object()


def check_record(record: Dict[str, Any], installation: bool) -> None:
    kind = record["type"]
    rows = (_INSTALLATION_ROWS if installation else _RUN_ROWS).get(kind) if isinstance(kind, str) else None
    if rows is None:
        raise Damage("record %d is of no known type" % record["seq"])
    for name, optional, check in rows:
        value = record.get(name, _ABSENT)
        if value is _ABSENT:
            if optional:
                continue
            raise Damage("record %d: %s without %s" % (record["seq"], kind, name))
        if not check(value):
            raise Damage("record %d: %s has a %s that cannot be" % (record["seq"], kind, name))
