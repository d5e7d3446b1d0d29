"""The header of a segment."""

import struct
from dataclasses import dataclass
from typing import List

from ._bounds import FORMAT_VERSION, HEADER_BYTES, MAX_ORIGIN_BYTES
from ._crc32c import crc32c
from ._report import Damage, Unreadable

_MAGIC = b"AUTHLOG\n"
_FIXED = struct.Struct(">8sHHIQ16s16s32s32s32sBB262s")


@dataclass(frozen=True)
class Header:
    number: int
    first: int
    log_id: bytes
    salt: bytes
    previous: bytes
    chain: bytes
    root: bytes
    origin: str
    subtrees: List[bytes]


def parse_header(raw: bytes, number: int, only: bool) -> Header:
    """only: no other segment says that records must follow."""
    place = "segment %d: its header" % number
    if len(raw) < HEADER_BYTES:
        raise (Unreadable if only else Damage)("%s is cut short" % place)
    if raw[:8] != _MAGIC:
        # Without a first header there is no log to judge; a later one is owed by the records before it.
        raise (Unreadable if number == 0 else Damage)("%s is of something else" % place)
    _, version, length, said, first, log_id, salt, previous, chain, root, count, origin_bytes, origin = _FIXED.unpack_from(raw)
    if version != FORMAT_VERSION:
        raise Unreadable("%s has format version %d, known is %d" % (place, version, FORMAT_VERSION))
    if struct.unpack_from(">I", raw, HEADER_BYTES - 4)[0] != crc32c(raw[: HEADER_BYTES - 4]):
        raise Damage("%s: the CRC is wrong" % place)
    end = _FIXED.size + 32 * count
    if length != HEADER_BYTES or said != number or end > HEADER_BYTES - 4 or any(raw[end : HEADER_BYTES - 4]):
        raise Damage("%s: length, number or filling is wrong" % place)
    if origin_bytes > MAX_ORIGIN_BYTES or any(origin[origin_bytes:]):
        raise Damage("%s: the origin is not followed by zeros" % place)
    try:
        text = origin[:origin_bytes].decode("utf-8")
    except UnicodeDecodeError:
        raise Damage("%s: the origin is not UTF-8" % place) from None
    subtrees = [raw[start : start + 32] for start in range(_FIXED.size, end, 32)]
    return Header(said, first, log_id, salt, previous, chain, root, text, subtrees)
