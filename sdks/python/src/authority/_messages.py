"""Frames and messages of a session (protocol/SPEC.md, sections 2 and 4)."""

from __future__ import annotations

import struct
from typing import Any, Iterator, List, Sequence, Tuple

from . import _protocol as wire
from ._cbor import decode, encode
from ._errors import make_error, protocol_error
from ._shape import check

_HEADER = struct.Struct(">II")
_MIN_FRAME_BYTES = 5
_FROM_GATE = ("WELCOME", "RESULT", "ERROR", "STREAM_DATA", "STREAM_END", "STREAM_CREDIT", "STREAM_RESET", "GOODBYE")
_GATE_MESSAGES = {wire.MESSAGES[name].number: name for name in _FROM_GATE}


def encode_frame(message: Sequence[Any]) -> bytes:
    """One link frame of session 0. Raises as `encode`."""
    item = encode(message)
    return _HEADER.pack(4 + len(item), 0) + item


def parse_gate_message(item: bytes) -> List[Any]:
    """The message as its positional values, the number first. Raises E_PROTOCOL for anything a gate may not send, E_UNSUPPORTED for another version."""
    values = decode(item)
    if not isinstance(values, list):
        raise protocol_error("a message must be an array")
    number = values[0] if values else None
    name = _GATE_MESSAGES.get(number) if isinstance(number, int) and not isinstance(number, bool) else None
    if name is None:
        raise protocol_error(f"message {number!r} is none a gate sends" if isinstance(number, int) else "a message must begin with its number")
    if name == "WELCOME":
        _check_welcome(values)
    row = wire.MESSAGES[name]
    check(row.fields, row.types, values[1:], name)
    return values


def _check_welcome(values: List[Any]) -> None:
    """Version and generation first: a welcome of another version may have other fields."""
    if len(values) > 1 and isinstance(values[1], int) and values[1] != wire.PROTOCOL_VERSION:
        raise make_error("E_UNSUPPORTED", f"the gate speaks protocol version {values[1]}, this client {wire.PROTOCOL_VERSION}")
    if len(values) > 2 and isinstance(values[2], int) and values[2] > wire.GENERATION:
        raise protocol_error(f"WELCOME: generation {values[2]} was not offered, the newest here is {wire.GENERATION}")


class FrameReader:
    """Cuts a byte stream into frames: session number and item. Holds less than one frame, and never more than was received of it."""

    def __init__(self) -> None:
        self._held = bytearray()

    def push(self, chunk: bytes) -> Iterator[Tuple[int, bytes]]:
        """Raises E_FRAME_TOO_LARGE or E_PROTOCOL as soon as a header is impossible; the stream cannot be cut from then on."""
        held = self._held
        held += chunk
        at = 0
        try:
            while len(held) - at >= 4:
                length = int.from_bytes(held[at : at + 4], "big")
                if length > wire.MAX_FRAME_BYTES:
                    raise make_error("E_FRAME_TOO_LARGE", f"a link frame of {length} bytes, {wire.MAX_FRAME_BYTES} are allowed")
                if length < _MIN_FRAME_BYTES:
                    raise protocol_error(f"a link frame of {length} bytes, the smallest has {_MIN_FRAME_BYTES}")
                if len(held) - at < 4 + length:
                    break
                session = int.from_bytes(held[at + 4 : at + 8], "big")
                item = bytes(held[at + 8 : at + 4 + length])
                at += 4 + length
                yield session, item
        finally:
            del held[:at]
