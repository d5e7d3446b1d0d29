"""One JSON object as ECMAScript's JSON.stringify writes it: parsing it and writing it again must give the same bytes."""

import json
import re
from typing import Any, Dict, List, Tuple

from ._bounds import MAX_DEPTH, MAX_INTEGER

_LONG_NUMBER = re.compile(r"\d{16}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_ARRAY_INDEX = 2**32 - 2


class NotCanonical(ValueError):
    pass


def parse_record(payload: bytes) -> Dict[str, Any]:
    try:
        text = payload.decode("utf-8")
        # Numbers that a double or Python would write otherwise are rare: only they take the slow way.
        try:
            record, written = _plain(text) if not _LONG_NUMBER.search(text) else _exact(text)
        except _HasFloat:
            record, written = _exact(text)
    except NotCanonical:
        raise
    except (ValueError, RecursionError) as error:
        raise NotCanonical("not JSON in UTF-8: %s" % type(error).__name__) from None
    if not isinstance(record, dict):
        raise NotCanonical("not an object")
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(record) > MAX_DEPTH:
        raise NotCanonical("nested deeper than %d" % MAX_DEPTH)
    if written != text:
        raise NotCanonical("not as JSON.stringify writes it")
    return record


class _HasFloat(Exception):
    pass


class _Number:
    """A number with the spelling it had."""

    def __init__(self, spelling: str) -> None:
        if len(spelling) > 32 or write_number(float(spelling)) != spelling:
            raise NotCanonical("a number not in its shortest form")
        self.spelling = spelling
        self.value = int(spelling) if re.fullmatch(r"-?\d+", spelling) and abs(int(spelling)) <= MAX_INTEGER else float(spelling)


def _refuse_float(_: str) -> Any:
    raise _HasFloat


def _refuse_constant(name: str) -> Any:
    raise NotCanonical(name + " is no JSON")


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise NotCanonical("a duplicate key")
    for key in result:
        if "0" <= key[:1] <= "9":
            return _indices_first(result)
    return result


def _indices_first(value: Dict[str, Any]) -> Dict[str, Any]:
    indices = [key for key in value if re.fullmatch(r"(0|[1-9][0-9]{0,9})", key) and int(key) <= _MAX_ARRAY_INDEX]
    if list(value)[: len(indices)] != sorted(indices, key=int):
        raise NotCanonical("keys that are array indices stand first and ascend")
    return value


_PLAIN = json.JSONDecoder(object_pairs_hook=_object, parse_float=_refuse_float, parse_constant=_refuse_constant)
_EXACT = json.JSONDecoder(object_pairs_hook=_object, parse_float=_Number, parse_int=_Number, parse_constant=_refuse_constant)
_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def _plain(text: str) -> Tuple[Any, str]:
    record = _PLAIN.decode(text)
    return record, _escape_surrogates(_WRITER.encode(record))


def _escape_surrogates(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub(lambda found: "\\u%04x" % ord(found.group()), text)


def _exact(text: str) -> Tuple[Any, str]:
    record = _EXACT.decode(text)
    if _depth(record) > MAX_DEPTH:
        raise NotCanonical("nested deeper than %d" % MAX_DEPTH)
    return _values(record), _escape_surrogates(_write(record))


def _write(value: Any) -> str:
    if isinstance(value, _Number):
        return value.spelling
    if isinstance(value, dict):
        return "{" + ",".join(_WRITER.encode(key) + ":" + _write(item) for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_write, value)) + "]"
    return _WRITER.encode(value)


def _values(value: Any) -> Any:
    if isinstance(value, _Number):
        return value.value
    if isinstance(value, dict):
        return {key: _values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_values(item) for item in value]
    return value


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, (dict, list)):
            deepest = max(deepest, depth)
            waiting.extend((inner, depth + 1) for inner in (item.values() if isinstance(item, dict) else item))
    return deepest


def write_number(value: float) -> str:
    """Number::toString of ECMAScript for base 10."""
    if value == 0:
        return "0"
    if value != value or value in (float("inf"), float("-inf")):
        raise NotCanonical("a number too large")
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = ("%r" % abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    point = len(whole) + int(exponent or 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    power = point - 1
    return "%s%s%se%s%d" % (sign, digits[0], "." + digits[1:] if count > 1 else "", "+" if power > 0 else "-", abs(power))
