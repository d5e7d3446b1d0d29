"""A log of either kind, record by record: frames, chain, tree, segments, checkpoints, torn tail (FORMAT.md)."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from ._notes import MAX_NOTE, Head, Key, Tampered, Unreadable, read_checkpoint

HEADER = 4096
FRAME = 48
MAX_PAYLOAD = 60 * 1024
MAX_SEGMENT = 64 * 1024 * 1024
MAX_TAIL = 4 * 1024 * 1024 + 64 * 1024
MAX_FLUSH = 65_535
SECTOR = 512
MAX_NAMES = 2_000_000

_TABLE = []
for _byte in range(256):
    _value = _byte
    for _ in range(8):
        _value = (_value >> 1) ^ 0x82F63B78 if _value & 1 else _value >> 1
    _TABLE.append(_value)


def crc32c(data: bytes, crc: int = 0) -> int:
    table, value = _TABLE, crc ^ 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 255] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


class Tree:
    """RFC 6962, leaf by leaf."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []  # largest first

    def add(self, leaf: bytes) -> None:
        size, carry = self.size, leaf
        while size & 1:
            carry = sha256(b"\x01", self.peaks.pop(), carry)
            size >>= 1
        self.peaks.append(carry)
        self.size += 1

    def root(self) -> bytes:
        if not self.peaks:
            return sha256()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = sha256(b"\x01", peak, root)
        return root


def open_file(path: str, most: int) -> tuple[int, int] | None:
    """Descriptor and size; None when there is no such file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == 40 or os.path.islink(path):
            raise Tampered(f"{path}: a symbolic link stands where a file of the log belongs") from error
        raise Unreadable(f"{path}: it cannot be opened: {error.strerror}") from error
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > most:
        os.close(fd)
        raise Tampered(f"{path}: not a regular file of at most {most} bytes")
    return fd, facts.st_size


def read_file(path: str, most: int) -> bytes | None:
    opened = open_file(path, most)
    if opened is None:
        return None
    with os.fdopen(opened[0], "rb") as file:
        return file.read(opened[1])


def lost_sector(data: bytes, offset: int) -> bool:
    at = 0
    while at < len(data):
        to = min(len(data), at + SECTOR - (offset + at) % SECTOR)
        if not any(data[at:to]):
            return True
        at = to
    return False


def frame_length(payload: int) -> int:
    return FRAME + payload + -payload % 8


def whole_frame(data: bytes, at: int, length: int, salt: bytes) -> bool:
    end = at + FRAME + length
    (crc,) = struct.unpack_from(">I", data, at + 4)
    padding = data[end : at + frame_length(length)]
    return crc == crc32c(salt + data[at + 8 : at + 16] + data[at : at + 4] + data[at + 16 : end]) and not any(padding)


@dataclass
class Record:
    seq: int
    payload: bytes


@dataclass
class Log:
    """`keys`: the chain of keys, all of them for an installation log, one for a run."""

    folder: str
    keys: list[Key]
    tree: Tree = field(default_factory=Tree)
    origin: str | None = None
    log_id: str | None = None
    chain: bytes = b""
    segments: int = 0
    frame_bytes: int = 0
    checkpoints: int = 0
    last_head: Head | None = None
    covered: bool = False
    tail: str = "exact"
    notes_torn: bool = False
    # How many KEY_ROTATED records were read: the position of the key in force.
    epoch: int = 0

    def records(self) -> Iterator[Record]:
        self.segments = count_segments(self.folder)
        self._notes = self._read_notes()
        self._head = next(self._notes, None)
        previous = bytes(32)
        for number in range(self.segments):
            path = os.path.join(self.folder, f"seg-{number:08}.log")
            data = read_file(path, MAX_SEGMENT)
            if data is None:
                raise Tampered(f"{path}: a segment is missing")
            yield from self._segment(number, path, data, previous)
            previous = sha256(data)
        if self._head is not None:
            raise Tampered(f"a checkpoint signed {self._head.size} records and there are {self.tree.size}: records are missing")

    def _read_notes(self) -> Iterator[Head]:
        path = os.path.join(self.folder, "checkpoints")
        data = read_file(path, 2**36) or b""
        at, before = 0, 0
        while at < len(data):
            rest = data[at : at + 2 * MAX_NOTE]
            gap = rest.find(b"\n\n")
            end = rest.find(b"\n\n", gap + 2) if gap >= 0 else -1
            note = rest[: end + 1] if end >= 0 else None
            head = read_checkpoint(note.decode("utf-8", "replace"), self.keys) if note is not None else None
            if note is None or head is None:
                if len(rest) > MAX_NOTE or (rest.endswith(b"\n\n") and not lost_sector(rest, at)):
                    raise Tampered(f"{path}: a checkpoint is not genuine (byte {at})")
                self.notes_torn = True
                return
            if head.size <= before:
                raise Tampered(f"{path}: checkpoints do not ascend (byte {at})")
            before = head.size
            at += len(note) + 1
            yield head

    def _segment(self, number: int, path: str, data: bytes, previous: bytes) -> Iterator[Record]:
        def bad(why: str) -> Tampered:
            return Tampered(f"{path}: {why}")

        salt = self._header(number, data, previous, path, bad)
        at = HEADER
        while at + FRAME <= len(data):
            (length,) = struct.unpack_from(">H", data, at)
            total = frame_length(length)
            if not 2 <= length <= MAX_PAYLOAD or at + total > len(data) or not whole_frame(data, at, length, salt):
                break
            if struct.unpack_from(">Q", data, at + 8)[0] != self.tree.size:
                break
            payload = data[at + FRAME : at + FRAME + length]
            seq = self.tree.size
            self.frame_bytes += total
            self._extend(payload, data[at + 16 : at + 48], path, at)
            yield Record(seq, payload)
            at += total
        if at == len(data):
            return
        if number != self.segments - 1:
            raise bad(f"record {self.tree.size} is broken, and a segment follows")
        self.tail = judge_tail(data, at, salt, self.tree.size, bad)

    def _header(self, number: int, data: bytes, previous: bytes, path: str, bad) -> bytes:
        first, h = number == 0, data[:HEADER]
        if len(h) < HEADER:
            raise Unreadable(f"{path}: no whole header") if first and self.segments == 1 else bad("the segment header is cut short")
        if h[:8] != b"AUTHLOG\n":
            raise Unreadable(f"{path}: this is not an audit log") if first else bad("this is not a segment")
        version, size, n, first_seq = struct.unpack_from(">HHIQ", h, 8)
        if version != 1:
            raise Unreadable(f"{path}: format version {version} is not known")
        if struct.unpack_from(">I", h, HEADER - 4)[0] != crc32c(h[: HEADER - 4]):
            raise bad("the checksum of the segment header is wrong")
        peaks, length = self.tree.peaks, h[153]
        origin, log_id = h[154 : 154 + length], h[24:40].hex()
        good = (
            size == HEADER
            and n == number
            and first_seq == self.tree.size
            and h[56:88] == previous
            and h[88:120] == (bytes(32) if first else self.chain)
            and h[120:152] == self.tree.root()
            and h[152] == len(peaks)
            and not any(h[154 + length : 416])
            and h[416 : 416 + 32 * len(peaks)] == b"".join(peaks)
            and not any(h[416 + 32 * len(peaks) : HEADER - 4])
            and (first or (origin.decode("utf-8", "replace") == self.origin and log_id == self.log_id))
        )
        if not good:
            raise bad("the segment header does not continue the records before it")
        self.origin, self.log_id = origin.decode("utf-8", "replace"), log_id
        if first:
            self.chain = sha256(b"\x03", h)
        return h[40:56]

    def _extend(self, payload: bytes, stored: bytes, path: str, at: int) -> None:
        leaf = sha256(b"\x00", payload)
        self.chain = sha256(b"\x02", self.chain, leaf)
        if self.chain != stored:
            raise Tampered(f"{path}: the hash chain breaks at record {self.tree.size} (byte {at})")
        self.tree.add(leaf)
        if len(self.keys) > 1 and re.match(rb'\{"seq":[0-9]+,"t":"[^"]*","boot_ms":[0-9]+,"type":"KEY_ROTATED"', payload):
            self.epoch += 1
        head = self._head
        self.covered = head is not None and head.size == self.tree.size
        if head is None or not self.covered:
            return
        if head.root != self.tree.root() or head.origin != self.origin or self.epoch not in head.signers:
            raise Tampered(f"the checkpoint of {head.size} records signed another state, or with a key that was not in force")
        self.checkpoints += 1
        self.last_head = head
        self._head = next(self._notes, None)


def count_segments(folder: str) -> int:
    if not os.path.isdir(folder) or os.path.islink(folder):
        raise Unreadable(f"{folder}: there is no audit log folder here")
    numbers = set()
    with os.scandir(folder) as names:
        for seen, entry in enumerate(names):
            if seen > MAX_NAMES:
                raise Tampered(f"{folder}: it holds more than {MAX_NAMES} names")
            match = re.fullmatch(r"seg-([0-9]{8})\.log", entry.name)
            if match:
                numbers.add(int(match.group(1)))
    if numbers and max(numbers) != len(numbers) - 1:
        raise Tampered(f"{folder}: a segment is missing")
    return len(numbers)


def judge_tail(data: bytes, at: int, salt: bytes, following: int, bad) -> str:
    """`zeros` or `torn`; raises when no crash leaves these bytes. `following`: the number the first bad frame should have had."""
    tail = data[at : at + MAX_TAIL]
    if any(data[at + len(tail) :]):
        raise bad("bytes follow the last whole record that no flush wrote")
    end = len(tail.rstrip(b"\0"))
    if end == 0:
        return "zeros"
    claimed = struct.unpack_from(">H", tail)[0] if len(tail) >= 2 else 0
    possible = 2 <= claimed <= MAX_PAYLOAD
    says = frame_length(claimed) if possible else SECTOR - at % SECTOR
    stopped = end < (FRAME + claimed if possible else says)
    if says <= len(tail) and not stopped and not lost_sector(tail[:says], at):
        raise bad(f"record {following} is broken")
    for p in range(8, end - FRAME + 1, 8):
        (seq,) = struct.unpack_from(">Q", tail, p + 8)
        if not following - MAX_FLUSH <= seq <= following + 2 * MAX_FLUSH:
            continue
        length, back = struct.unpack_from(">HH", tail, p)
        if not 2 <= length <= MAX_PAYLOAD or p + frame_length(length) > len(tail) or not whole_frame(tail, p, length, salt):
            continue
        if seq <= following or seq - back > following:
            raise bad(f"record {following} is broken and record {seq} behind it is whole")
    return "torn"
