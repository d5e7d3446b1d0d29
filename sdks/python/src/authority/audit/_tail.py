"""What follows the last good frame: nothing, an unfinished flush that a crash left, or damage."""

import struct
from dataclasses import dataclass
from typing import BinaryIO, Optional

from ._bounds import CHUNK_BYTES, FRAME_HEAD_BYTES, MAX_FLUSH_RECORDS, MAX_PAYLOAD_BYTES, MAX_TORN_BYTES, MIN_PAYLOAD_BYTES, SECTOR_BYTES
from ._checkpoints import has_empty_sector
from ._crc32c import Windows


@dataclass(frozen=True)
class Tail:
    kind: str  # nothing, torn, damage
    zeros: int = 0
    torn_bytes: int = 0


def frame_bytes(payload_bytes: int) -> int:
    return (FRAME_HEAD_BYTES + payload_bytes + 7) & ~7


def frame_check(head: bytes, salt: bytes) -> bytes:
    """What stands before the payload in the bytes a frame's CRC is over."""
    return salt + head[8:16] + head[:4] + head[16:48]


def classify_tail(file: BinaryIO, start: int, size: int, expected: int, salt: bytes) -> Tail:
    """start is the offset behind the last good frame, size that of the file, expected the number of the record owed there."""
    end = _behind_last_byte(file, start, size)
    if end is None:
        return Tail("nothing", zeros=size - start)
    if end - start > MAX_TORN_BYTES:
        return Tail("damage")
    file.seek(start)
    # A frame that reaches into the zeros behind the last byte is seen whole.
    data = file.read(min(size - start, end - start + frame_bytes(MAX_PAYLOAD_BYTES)))
    if _first_frame_is_torn(data, start, end - start, size) and _others_belong(data, end - start, expected, salt):
        return Tail("torn", torn_bytes=end - start)
    return Tail("damage")


def _behind_last_byte(file: BinaryIO, start: int, size: int) -> Optional[int]:
    position = size
    while position > start:
        begin = max(start, position - CHUNK_BYTES)
        file.seek(begin)
        chunk = file.read(position - begin).rstrip(b"\x00")
        if chunk:
            return begin + len(chunk)
        position = begin
    return None


def _first_frame_is_torn(data: bytes, start: int, written: int, size: int) -> bool:
    length = struct.unpack_from(">H", data)[0] if len(data) >= 2 else 0
    if MIN_PAYLOAD_BYTES <= length <= MAX_PAYLOAD_BYTES:
        extent, last_zero_start = frame_bytes(length), FRAME_HEAD_BYTES + length - 1
    else:
        extent = SECTOR_BYTES - start % SECTOR_BYTES
        last_zero_start = extent - 1
    runs_past_the_end = start + extent > size
    stopped = written <= last_zero_start
    return runs_past_the_end or stopped or has_empty_sector(data[:extent], start)


def _others_belong(data: bytes, written: int, expected: int, salt: bytes) -> bool:
    """Every whole frame behind the torn one belongs to the flush that also held the expected record."""
    windows: Optional[Windows] = None
    for offset in range(8, max(written - FRAME_HEAD_BYTES, 8), 8):
        length, back, crc, sequence = struct.unpack_from(">HHIQ", data, offset)
        if not expected - MAX_FLUSH_RECORDS <= sequence <= expected + 2 * MAX_FLUSH_RECORDS:
            continue  # no frame of this place
        begin, end = offset + FRAME_HEAD_BYTES, offset + FRAME_HEAD_BYTES + length
        behind = offset + frame_bytes(length)
        if not MIN_PAYLOAD_BYTES <= length <= MAX_PAYLOAD_BYTES or behind > len(data) or any(data[end:behind]):
            continue
        windows = windows or Windows(data)
        head = data[offset:begin]
        # The chain in the head stands in the buffer before the payload, so one window holds both.
        if windows.crc(salt + head[8:16] + head[:4], offset + 16, end) != crc:
            continue
        if sequence <= expected or sequence - back > expected:
            return False
    return True
