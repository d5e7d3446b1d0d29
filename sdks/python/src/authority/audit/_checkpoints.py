"""The file `checkpoints`, read twice: once for its form and its last size, once beside the records."""

import os
from typing import Iterator, Optional

from ._bounds import CHUNK_BYTES, MAX_NOTE_BYTES, SECTOR_BYTES
from ._files import Folder
from ._notes import BadNote, Checkpoint, end_of_note, parse_checkpoint
from ._report import Damage

NAME = "checkpoints"


class Checkpoints:
    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.count = 0
        self.last_size = 0
        self.last: Optional[Checkpoint] = None
        self.torn_bytes = 0
        self._good_bytes = 0
        if folder.has(NAME):
            self._survey()

    def __iter__(self) -> Iterator[Checkpoint]:
        if not self.count:
            return
        for raw in self._notes(self._good_bytes):
            yield parse_checkpoint(raw)

    def _survey(self) -> None:
        with self._folder.open(NAME) as file:
            size = os.fstat(file.fileno()).st_size
        try:
            for raw in self._notes(size):
                checkpoint = parse_checkpoint(raw)
                if checkpoint.size <= self.last_size:
                    raise Damage("%s: sizes do not ascend at %d" % (NAME, checkpoint.size))
                self.count, self.last_size, self.last = self.count + 1, checkpoint.size, checkpoint
                self._good_bytes += len(raw) + 1
        except BadNote as error:
            self._end_must_be_torn(size, "%s: note %d: %s" % (NAME, self.count, error))

    def _notes(self, size: int) -> Iterator[bytes]:
        with self._folder.open(NAME) as file:
            rest, left = b"", size
            while left or rest:
                end = end_of_note(rest)
                if end > MAX_NOTE_BYTES or (not end and (not left or len(rest) > MAX_NOTE_BYTES)):
                    raise BadNote("it has no end")
                if end:
                    yield rest[: end - 1]
                    rest = rest[end:]
                    continue
                chunk = file.read(min(left, CHUNK_BYTES if not rest else MAX_NOTE_BYTES))
                if not chunk:
                    raise Damage("%s: shrank while it was read" % NAME)
                rest, left = rest + chunk, left - len(chunk)

    def _end_must_be_torn(self, size: int, message: str) -> None:
        """What an unfinished write of one note leaves: no empty line at its end, or a sector of zeros in it. Anything else was changed."""
        start, length = self._good_bytes, size - self._good_bytes
        if length > MAX_NOTE_BYTES:
            raise Damage(message)
        with self._folder.open(NAME) as file:
            file.seek(start)
            data = file.read(length)
        end = end_of_note(data)
        whole = data[:end] if end else data
        if whole.endswith(b"\n\n") and not has_empty_sector(whole, start):
            raise Damage(message)
        self.torn_bytes = length


def has_empty_sector(data: bytes, offset: int) -> bool:
    """Whether some sector of the file has only zeros in its share of data, which stands at offset."""
    position = 0
    while position < len(data):
        end = min(len(data), position + SECTOR_BYTES - (offset + position) % SECTOR_BYTES)
        if not any(data[position:end]):
            return True
        position = end
    return False
