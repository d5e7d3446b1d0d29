"""Files of a log folder: regular ones only, opened without following links, never more of them than was asked for."""

import os
import re
import stat
from typing import BinaryIO, Dict, List, Optional

from ._bounds import MAX_FOLDER_ENTRIES
from ._report import Damage, Unreadable

_SEGMENT = re.compile(r"seg-([0-9]{8})\.log")


class Folder:
    """A log folder: looked through once, so that a link or device in it is refused before anything is read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._names: Dict[str, bool] = {}
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if len(self._names) >= MAX_FOLDER_ENTRIES:
                        raise Unreadable("%s: more than %d entries" % (path, MAX_FOLDER_ENTRIES))
                    mode = entry.stat(follow_symlinks=False).st_mode
                    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                        raise Damage("%s: a link, device, socket or FIFO in a log folder" % entry.name)
                    self._names[entry.name] = stat.S_ISREG(mode)
        except OSError as error:
            raise Unreadable("%s: %s" % (path, error.strerror)) from None

    def has(self, name: str) -> bool:
        return name in self._names

    def open(self, name: str) -> BinaryIO:
        path = os.path.join(self.path, name)
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise Damage("%s: not a regular file" % name)
            return os.fdopen(descriptor, "rb")
        except OSError as error:
            raise Unreadable("%s: %s" % (path, error.strerror)) from None

    def read_small(self, name: str, limit: int) -> Optional[bytes]:
        """The whole file, None when there is none."""
        if not self.has(name):
            return None
        with self.open(name) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise Damage("%s: longer than %d bytes" % (name, limit))
        return data

    def segments(self) -> int:
        """How many segments there are, 0 for none: numbered from 0 without a gap."""
        numbers: List[int] = sorted(int(found.group(1)) for found in map(_SEGMENT.fullmatch, self._names) if found)
        if numbers and numbers[-1] != len(numbers) - 1:
            missing = next(number for number, there in enumerate(numbers) if number != there)
            raise Damage("%s is missing" % segment_name(missing))
        return len(numbers)


def segment_name(number: int) -> str:
    return "seg-%08d.log" % number
