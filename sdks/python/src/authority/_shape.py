"""Checks positional values against their declaration in _protocol.py: exact count, kind and bound of each."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

from ._errors import protocol_error
from ._limits import MAX_SAFE_INTEGER
from ._protocol import FieldType


def check(names: Sequence[str], types: Sequence[FieldType], values: Sequence[Any], where: str) -> None:
    """Raises E_PROTOCOL naming `where`, the field and the cause."""
    if len(values) != len(types):
        raise protocol_error(f"{where}: {len(values)} fields where {len(types)} are declared: {', '.join(names) or '(none)'}")
    for name, field_type, value in zip(names, types, values):
        cause = _mismatch(field_type, value)
        if cause is not None:
            raise protocol_error(f"{where}: field `{name}`{cause}")


def _mismatch(field_type: FieldType, value: Any) -> Optional[str]:
    """What is wrong, as the rest of a sentence that began with the field."""
    kind = field_type[0]
    if kind == "optional":
        return None if value is None else _mismatch(field_type[1], value)
    if kind in ("uint", "int"):
        return _integer_mismatch(field_type, value)
    if kind == "text":
        if not isinstance(value, str):
            return _expected("a text string", value)
        return _size_mismatch(len(value.encode("utf-8", "surrogatepass")), field_type)
    if kind == "bytes":
        if not isinstance(value, (bytes, bytearray, memoryview)):
            return _expected("a byte string", value)
        return _size_mismatch(memoryview(value).nbytes, field_type)
    if kind == "bool":
        return None if isinstance(value, bool) else _expected("a boolean", value)
    if not isinstance(value, (list, tuple)):
        return _expected("an array", value)
    if kind == "values":
        return _count_mismatch(len(value), field_type[1])
    if kind == "list":
        return _count_mismatch(len(value), field_type[2]) or _first_mismatch((field_type[1],) * len(value), value, ())
    if len(value) != len(field_type[2]):
        return f" has {len(value)} elements, {len(field_type[2])} are declared"
    return _first_mismatch(field_type[2], value, field_type[1])


def _first_mismatch(types: Sequence[FieldType], values: Sequence[Any], names: Sequence[str]) -> Optional[str]:
    for index, (field_type, value) in enumerate(zip(types, values)):
        cause = _mismatch(field_type, value)
        if cause is not None:
            return f".{names[index]}{cause}" if names else f"[{index}]{cause}"
    return None


def _integer_mismatch(field_type: FieldType, value: Any) -> Optional[str]:
    if not isinstance(value, int) or isinstance(value, bool):
        return _expected("an integer", value)
    greatest, least = field_type[1:] if field_type[0] == "uint" else (MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER)
    if value < least:
        return f" is {value}, below {least}"
    return f" is {value}, above {greatest}" if value > greatest else None


def _size_mismatch(size: int, field_type: Tuple[Any, ...]) -> Optional[str]:
    if size > field_type[1]:
        return f" is longer than {field_type[1]} bytes"
    return f" has {size} bytes, at least {field_type[2]} are needed" if size < field_type[2] else None


def _count_mismatch(count: int, most: int) -> Optional[str]:
    return f" has {count} elements, {most} are allowed" if count > most else None


def _expected(kind: str, value: Any) -> str:
    return f" must be {kind}, not {'null' if value is None else type(value).__name__}"
