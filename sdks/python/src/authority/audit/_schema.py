"""The fields of each record type."""

import re
from typing import Any, Callable, Dict, Tuple

from ._bounds import MAX_INTEGER
from ._report import Damage

_ID = re.compile(r"[0-9a-f]{32}")
_STAGES = ("capability", "policy", "budget", "intent", "execute")
_DIGEST = re.compile(r"[0-9a-f]{64}")

Check = Callable[[Any], bool]


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_INTEGER


def is_amounts(value: Any) -> bool:
    if type(value) is not dict:
        return False
    for amount in value.values():
        if not is_count(amount):
            return False
    return True


def _integer(value: Any) -> bool:
    return type(value) is int and -MAX_INTEGER <= value <= MAX_INTEGER


def _text(value: Any) -> bool:
    return type(value) is str



def _flag(value: Any) -> bool:
    return type(value) is bool


def _object(value: Any) -> bool:
    return type(value) is dict


def _texts(value: Any) -> bool:
    return type(value) is list and all(type(item) is str for item in value)


def _text_or_null(value: Any) -> bool:
    return value is None or type(value) is str


def _accounts(value: Any) -> bool:
    """Names, none twice."""
    return _texts(value) and len(set(value)) == len(value)


def _claim(value: Any) -> bool:
    return type(value) is dict and is_count(value.get("pid")) and _text(value.get("exe"))


def _looks(value: Any) -> bool:
    return type(value) is list and all(
        type(row) is dict and _text(row.get("op")) and _text_or_null(row.get("rule", 0)) and _text(row.get("object")) and is_count(row.get("count")) for row in value
    )


def _stage_times(value: Any) -> bool:
    return type(value) is dict and all(is_count(value[stage]) for stage in _STAGES if stage in value)


def _matches(pattern: "re.Pattern[str]") -> Check:
    return lambda value: type(value) is str and bool(pattern.fullmatch(value))


def _one_of(*values: str) -> Check:
    return lambda value: type(value) is str and value in values


def _limits(value: Any) -> bool:
    return type(value) is list and all(
        type(row) is dict and _text(row.get("account")) and _text(row.get("dimension")) and is_count(row.get("limit")) for row in value
    )


def _count_or_null(value: Any) -> bool:
    return value is None or is_count(value)


def _digest_or_nothing(value: Any) -> bool:
    return value == "" or _digest(value)


_id, _digest = _matches(_ID), _matches(_DIGEST)
_asked = {"op": _text, "session": _text, "action": _text_or_null, "object": _text, "requested": _text, "rule": _text_or_null, "policy": _text}

# Field to check; a name that ends in ? may be absent.
RUN_RECORDS: Dict[str, Dict[str, Check]] = {
    "RUN_START": {
        **{"run": _id, "installation": _id, "build": _text, "operator_uid": is_count, "policy": _text, "policy_source": _text},
        **{"isolation": _text, "limits": _limits, "detail": _object},
    },
    "INTENT": {**_asked, "blocks": _texts, "accounts": _accounts, "reserve": is_amounts, "args?": _digest, "claimed?": _claim},
    "OUTCOME": {
        **{"intent": is_count, "status": _one_of("ok", "error", "unknown", "void"), "code?": _text, "captured": is_amounts},
        **{"leased?": is_amounts, "overrun?": _flag, "detail?": _object, "us?": _stage_times},
    },
    "LEASE": {"intent": is_count, "reserve": is_amounts},
    "CLOSE": {"intent": is_count, "captured": is_amounts, "detail": _object},
    "DENY": {**_asked, "code": _text, "reason": _text, "fix": _text_or_null, "guest_claimed?": _flag, "claimed?": _claim},
    "DENY_REPEAT": {"first": is_count, "count": is_count},
    "LOOK": {"counts": _looks, "guest_claimed?": _flag},
    "STDIO": {"fd": is_count, "bytes": is_count, "sha256": _digest},
    "TIME": {"captured": is_amounts},
    "REVOKE": {"block": _text, "by": _text},
    "APPROVAL": {
        **{"event": _one_of("asked", "once", "run", "denied", "expired", "withdrawn"), "request": _digest, "op": _text},
        **{"session": _text, "action": _text, "object": _text, "rule": _text, "policy": _text, "by": _text_or_null},
    },
    "POLICY": {"policy": _text, "source": _text, "previous": _text, "by": _text},
    "LIMIT": {"account": _text, "limits": is_amounts},
    "LEASED": {"leased": is_amounts},
    "USES": {"block": _text, "used": _count_or_null},
    "MARK": {"account": _text, "dimension": _text, "percent": is_count, "captured": is_count, "limit": is_count},
    "GUEST": {"event": _text, "detail": _object},
    "CHECKPOINT": {"size": is_count, "root": _digest},
    "RECOVERED": {"bytes": is_count, "sha256": _digest_or_nothing},
    "FATAL": {"reason": _text},
    "RUN_END": {"ended_by": _text, "exit_code": _integer, "effects": is_count, "denials": is_count, "spent": is_amounts},
}

_state = {"run": _id, "size": is_count, "root": _digest, "chain": _digest}
INSTALLATION_RECORDS: Dict[str, Dict[str, Check]] = {
    "INSTALLATION": {"installation": _id, "key": _text},
    "KEY_ROTATED": {"certificate": _text},
    "RUN_OPENED": {**_state, "origin": _text, "operator_uid": is_count, "build": _text, "policy": _text},
    "RUN_CHECKPOINT": _state,
    "RUN_SEALED": {**_state, "ended_by": _text},
    "RUN_REMOVED": {"run": _id, "by_uid": is_count},
    "BUDGET_LIMITS": {"limits": is_amounts, "by_uid": is_count},
    "BUDGET_LEASE": {"run": _id, "lease": is_amounts},
    "BUDGET_RETURN": {"run": _id, "unused": is_amounts},
    "BUDGET_SPENT": {"run": _id, "spent": is_amounts},
    "BUDGET_ADJUST": {"run": _id, "intent": is_count, "lowered": is_amounts, "shared": is_amounts, "reason": _text, "by_uid": is_count},
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
