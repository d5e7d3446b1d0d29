"""The walk through one log: segments, frames, chain, tree and checkpoints. What the records say is the visitor's matter."""

import os
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO, Dict, Iterator, Optional, Protocol, Tuple

from ._bounds import FRAME_HEAD_BYTES, HEADER_BYTES, MAX_PAYLOAD_BYTES, MAX_SEGMENT_BYTES, MIN_PAYLOAD_BYTES
from ._checkpoints import Checkpoints
from ._crc32c import crc32c
from ._files import Folder, segment_name
from ._header import Header, parse_header
from ._json import NotCanonical, parse_record
from ._merkle import Tree, leaf_hash
from ._notes import Checkpoint
from ._report import Damage, Unreadable
from ._schema import is_count
from ._tail import classify_tail, frame_bytes, frame_check

_ORIGIN = re.compile(r"authority/([0-9a-f]{32})/(?:run/([0-9a-f]{32})|installation)")
_TIME = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z", re.ASCII)
_FIRST_KEYS = ["seq", "t", "boot_ms", "type"]


class Visitor(Protocol):
    def record(self, record: Dict[str, Any], frame_bytes: int) -> None: ...

    def checkpoint(self, checkpoint: Checkpoint) -> None: ...

    def state(self, size: int, root: bytes, chain: bytes) -> None: ...


@dataclass
class Identity:
    """What the first header says: believed only because every later byte is bound to it."""

    origin: str
    installation: str
    run: Optional[str]  # None: the installation log


@dataclass
class LogState:
    identity: Identity
    size: int = 0
    root: bytes = b""
    chain: bytes = b""
    frame_bytes: int = 0
    torn_bytes: int = 0
    zeros: int = 0  # written ahead
    frames_in_last_segment: int = 0
    last_note: Optional[Checkpoint] = None


def read_identity(folder: Folder) -> Identity:
    with folder.open(segment_name(0)) as file:
        header = parse_header(file.read(HEADER_BYTES), 0, folder.segments() == 1)
    found = _ORIGIN.fullmatch(header.origin)
    if not found or header.log_id.hex() != (found.group(2) or found.group(1)):
        raise Damage("segment 0: origin and log id are not those of a run or an installation")
    return Identity(header.origin, found.group(1), found.group(2))


class LogWalk:
    def __init__(self, folder: Folder, identity: Identity, checkpoints: Checkpoints, asked_sizes: Dict[int, Any]) -> None:
        self._folder, self._checkpoints, self._asked = folder, checkpoints, asked_sizes
        self._tree = Tree()
        self.state = LogState(identity)

    def run(self, visitor: Visitor) -> LogState:
        notes = iter(self._checkpoints)
        note = next(notes, None)
        for record, size in self._records():
            visitor.record(record, size)
            count = self._tree.size
            if note is not None and note.size == count:
                self._compare(note)
                visitor.checkpoint(note)
                self.state.last_note, note = note, next(notes, None)
            if count in self._asked:
                visitor.state(count, self._tree.root(), self.state.chain)
        if note is not None:
            raise Damage("a checkpoint has signed %d records, there are %d" % (self._checkpoints.last_size, self._tree.size))
        self.state.size, self.state.root = self._tree.size, self._tree.root()
        return self.state

    def _compare(self, note: Checkpoint) -> None:
        if note.origin != self.state.identity.origin:
            raise Damage("the checkpoint of size %d is of another log: %s" % (note.size, note.origin))
        if note.root != self._tree.root():
            raise Damage("the checkpoint of size %d has another root than the records" % note.size)

    def _records(self) -> Iterator[Tuple[Dict[str, Any], int]]:
        count = self._folder.segments()
        previous = b"\x00" * 32
        for number in range(count):
            hasher = sha256()
            with self._folder.open(segment_name(number)) as file:
                size = os.fstat(file.fileno()).st_size
                if size > MAX_SEGMENT_BYTES:
                    raise Damage("segment %d is longer than %d bytes" % (number, MAX_SEGMENT_BYTES))
                last = number == count - 1
                raw = file.read(HEADER_BYTES)
                hasher.update(raw)
                header = self._check_header(raw, number, previous, count)
                yield from self._segment(file, size, number, header, hasher, last)
            previous = hasher.digest()

    def _check_header(self, raw: bytes, number: int, previous: bytes, count: int) -> Header:
        header = parse_header(raw, number, count == 1)
        identity = self.state.identity
        chain = self.state.chain or b"\x00" * 32
        owed = (number, self._tree.size, previous, chain, self._tree.root(), self._tree.subtrees, identity.origin)
        said = (header.number, header.first, header.previous, header.chain, header.root, header.subtrees, header.origin)
        names = ("number", "first record", "hash of the segment before", "chain", "root", "subtrees", "origin")
        for name, mine, theirs in zip(names, owed, said):
            if mine != theirs:
                raise Damage("segment %d: the %s in its header is not what the records before it give" % (number, name))
        if header.log_id.hex() != (identity.run or identity.installation):
            raise Damage("segment %d: the log id in its header is another log's" % number)
        if number == 0:
            self.state.chain = sha256(b"\x03" + raw).digest()
        return header

    def _segment(self, file: BinaryIO, size: int, number: int, header: Header, hasher: Any, last: bool) -> Iterator[Tuple[Dict[str, Any], int]]:
        offset, frames = HEADER_BYTES, 0
        while offset < size:
            head = file.read(FRAME_HEAD_BYTES)
            length = int.from_bytes(head[:2], "big")
            body = file.read(frame_bytes(length) - FRAME_HEAD_BYTES) if MIN_PAYLOAD_BYTES <= length <= MAX_PAYLOAD_BYTES else b""
            payload = body[:length]
            if not self._is_good(head, body, payload, header.salt) or offset + frame_bytes(length) > size:
                self._end(file, offset, size, number, header.salt, last)
                break
            self._link(head, payload)
            hasher.update(head)
            hasher.update(body)
            offset, frames = offset + frame_bytes(length), frames + 1
            self.state.frame_bytes += frame_bytes(length)
            yield self._parse(payload), frame_bytes(length)
        if last:
            self.state.frames_in_last_segment = frames

    def _is_good(self, head: bytes, body: bytes, payload: bytes, salt: bytes) -> bool:
        """Whole, with the right CRC, zeros behind it, and the number that is expected here."""
        if not body or len(head) + len(body) != frame_bytes(len(payload)) or any(body[len(payload) :]):
            return False
        if int.from_bytes(head[8:16], "big") != self._tree.size:
            return False
        return crc32c(frame_check(head, salt) + payload) == int.from_bytes(head[4:8], "big")

    def _link(self, head: bytes, payload: bytes) -> None:
        leaf = leaf_hash(payload)
        self.state.chain = sha256(b"\x02" + self.state.chain + leaf).digest()
        if head[16:] != self.state.chain:
            raise Damage("record %d does not continue the chain" % self._tree.size)
        self._tree.append(leaf)

    def _parse(self, payload: bytes) -> Dict[str, Any]:
        sequence = self._tree.size - 1
        try:
            record = parse_record(payload)
        except NotCanonical as error:
            raise Damage("record %d: %s" % (sequence, error)) from None
        if list(record)[:4] != _FIRST_KEYS or record["seq"] != sequence or isinstance(record["seq"], bool):
            raise Damage("record %d does not begin with its seq, t, boot_ms and type" % sequence)
        time, boot = record["t"], record["boot_ms"]
        if not isinstance(time, str) or not _TIME.fullmatch(time):
            raise Damage("record %d: t is not a time" % sequence)
        if not is_count(boot):
            raise Damage("record %d: boot_ms is not a time" % sequence)
        return record

    def _end(self, file: BinaryIO, offset: int, size: int, number: int, salt: bytes, last: bool) -> None:
        expected = self._tree.size
        if not last:
            raise Damage("segment %d does not end with a whole frame: record %d is damaged" % (number, expected))
        tail = classify_tail(file, offset, size, expected, salt)
        if tail.kind == "nothing":
            self.state.zeros = tail.zeros
        elif tail.kind == "torn" and expected >= self._checkpoints.last_size:
            self.state.torn_bytes = tail.torn_bytes
        else:
            raise Damage("record %d is damaged" % expected)


def is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def open_log(path: str) -> Folder:
    if not is_folder(path):
        raise Unreadable("%s: no log folder here" % path)
    return Folder(path)
