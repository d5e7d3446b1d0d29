"""The wire's strict CBOR (protocol/SPEC.md, section 3): one encoding per value, everything else refused before anything is allocated for it."""

from __future__ import annotations

from typing import Any, List

from ._errors import AuthorityError, make_error, protocol_error
from ._limits import MAX_SAFE_INTEGER
from ._protocol import MAX_CBOR_ARRAY, MAX_CBOR_DEPTH, MAX_CBOR_VALUES, MAX_ITEM_BYTES

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY = 0x00, 0x20, 0x40, 0x60, 0x80
_SIMPLE = {False: b"\xf4", True: b"\xf5", None: b"\xf6"}
# The least argument that may stand in 1, 2, 4 and 8 bytes.
_LEAST = (24, 1 << 8, 1 << 16, 1 << 32)


def encode(value: Any) -> bytes:
    """Encodes one item. Raises E_PROTOCOL for a value the wire cannot carry and E_FRAME_TOO_LARGE when the item does not fit a frame."""
    parts: List[bytes] = []
    room = _Room()
    _encode(value, parts, room, 0)
    return b"".join(parts)


def decode(data: bytes) -> Any:
    """Decodes exactly one item that fills `data`: int, bytes, str, list, bool or None. Raises E_PROTOCOL naming the offset and cause."""
    reader = _Reader(data)
    value = reader.item(0)
    if reader.at < len(data):
        raise _refused(reader.at, f"{len(data) - reader.at} bytes after the end of the item")
    return value


class _Room:
    """What is left of the limits of one item."""

    def __init__(self) -> None:
        self.bytes = MAX_ITEM_BYTES
        self.values = MAX_CBOR_VALUES

    def take(self, size: int) -> None:
        self.bytes -= size
        if self.bytes < 0:
            raise make_error("E_FRAME_TOO_LARGE", f"cannot encode for the wire: the item exceeds {MAX_ITEM_BYTES} bytes")


def _encode(value: Any, parts: List[bytes], room: _Room, depth: int) -> None:
    room.values -= 1
    if room.values < 0:
        raise _unencodable(f"more than {MAX_CBOR_VALUES} values in one item")
    if value is None or isinstance(value, bool):
        _put(parts, room, _SIMPLE[value])
    elif isinstance(value, int):
        if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            raise _unencodable("an integer beyond ±(2^53−1)")
        _put(parts, room, _head(_UINT, value) if value >= 0 else _head(_NEGATIVE, -1 - value))
    elif isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        _put(parts, room, _head(_BYTES, len(data)), data)
    elif isinstance(value, str):
        try:
            data = value.encode("utf-8")
        except UnicodeEncodeError:
            raise _unencodable("a text string with a lone surrogate") from None
        _put(parts, room, _head(_TEXT, len(data)), data)
    elif isinstance(value, (list, tuple)):
        if len(value) > MAX_CBOR_ARRAY:
            raise _unencodable(f"an array of {len(value)} elements, {MAX_CBOR_ARRAY} are allowed")
        if depth == MAX_CBOR_DEPTH:
            raise _unencodable(f"arrays nested deeper than {MAX_CBOR_DEPTH}")
        _put(parts, room, _head(_ARRAY, len(value)))
        for element in value:
            _encode(element, parts, room, depth + 1)
    else:
        raise _unencodable(f"the wire has no {type(value).__name__}")


def _put(parts: List[bytes], room: _Room, head: bytes, data: bytes = b"") -> None:
    room.take(len(head) + len(data))
    parts.append(head)
    if data:
        parts.append(data)


def _head(major: int, n: int) -> bytes:
    if n < 24:
        return bytes((major | n,))
    size = (n >= _LEAST[1]) + (n >= _LEAST[2]) + (n >= _LEAST[3])
    return bytes((major | 24 + size,)) + n.to_bytes(1 << size, "big")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.values = 0

    def item(self, depth: int) -> Any:
        start = self.at
        if start >= len(self.data):
            raise _refused(start, "the input ends where an item should begin")
        self.values += 1
        if self.values > MAX_CBOR_VALUES:
            raise _refused(start, f"more than {MAX_CBOR_VALUES} values in one item")
        initial = self.data[start]
        self.at += 1
        major = initial & 0xE0
        if major == _UINT:
            return self._argument(initial, start)
        if major == _NEGATIVE:
            value = -1 - self._argument(initial, start)
            if value < -MAX_SAFE_INTEGER:
                raise _refused(start, "an integer below −(2^53−1)")
            return value
        if major == _BYTES:
            return self._string(initial, start, "byte")
        if major == _TEXT:
            return self._text(initial, start)
        if major == _ARRAY:
            return self._array(initial, start, depth)
        if initial in (0xF4, 0xF5, 0xF6):
            return None if initial == 0xF6 else initial == 0xF5
        raise _refused(start, f"the initial byte 0x{initial:02x} is not part of the wire")

    def _array(self, initial: int, start: int, depth: int) -> List[Any]:
        length = self._argument(initial, start)
        left = len(self.data) - self.at
        if length > MAX_CBOR_ARRAY:
            raise _refused(start, f"an array of {length} elements, {MAX_CBOR_ARRAY} are allowed")
        if length > left:
            raise _refused(start, f"an array of {length} elements with {left} bytes left")
        if depth == MAX_CBOR_DEPTH:
            raise _refused(start, f"arrays nested deeper than {MAX_CBOR_DEPTH}")
        return [self.item(depth + 1) for _ in range(length)]

    def _text(self, initial: int, start: int) -> str:
        try:
            return self._string(initial, start, "text").decode("utf-8")
        except UnicodeDecodeError:
            raise _refused(start, "a text string that is not well-formed UTF-8") from None

    def _string(self, initial: int, start: int, kind: str) -> bytes:
        length = self._argument(initial, start)
        left = len(self.data) - self.at
        if length > left:
            raise _refused(start, f"a {kind} string of {length} bytes with {left} bytes left")
        self.at += length
        return bytes(self.data[self.at - length : self.at])

    def _argument(self, initial: int, start: int) -> int:
        """The argument of an initial byte, refused unless it stands in its shortest form."""
        info = initial & 0x1F
        if info < 24:
            return info
        if info > 27:
            raise _refused(start, "indefinite lengths and reserved forms are not part of the wire")
        width = 1 << (info - 24)
        data = self.data[self.at : self.at + width]
        if len(data) < width:
            raise _refused(start, "the input ends inside a number")
        self.at += width
        value = int.from_bytes(data, "big")
        if value < _LEAST[info - 24]:
            raise _refused(start, f"the number {value} not in its shortest form")
        if value > MAX_SAFE_INTEGER:
            raise _refused(start, "a number above 2^53−1")
        return value


def _refused(offset: int, cause: str) -> AuthorityError:
    return protocol_error(f"CBOR at byte {offset}: {cause}")


def _unencodable(cause: str) -> AuthorityError:
    return protocol_error(f"cannot encode for the wire: {cause}")
