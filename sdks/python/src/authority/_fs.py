"""Files on the mounts of the run, each change a request to the gate."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Union

from . import _protocol as wire
from ._errors import invalid, make_error
from ._file import File
from ._limits import DEFAULT_MAX_BYTES, DIRECTORY_PAGE, MAX_DIRECTORY_ENTRIES, MAX_EMPTY_PAGES
from ._scope import Scope

_WRITE_NEW = wire.OPEN_WRITE | wire.OPEN_CREATE
_MODES = {
    "r": wire.OPEN_READ,
    "r+": wire.OPEN_READ | wire.OPEN_WRITE,
    "w": _WRITE_NEW | wire.OPEN_TRUNCATE,
    "w+": wire.OPEN_READ | _WRITE_NEW | wire.OPEN_TRUNCATE,
    "a": _WRITE_NEW | wire.OPEN_APPEND,
    "a+": wire.OPEN_READ | _WRITE_NEW | wire.OPEN_APPEND,
    "x": _WRITE_NEW | wire.OPEN_EXCLUSIVE,
    "x+": wire.OPEN_READ | _WRITE_NEW | wire.OPEN_EXCLUSIVE,
}
_KINDS = ("file", "directory", "symlink")


class Stat(NamedTuple):
    """`kind` is file, directory, symlink or other; size in bytes, mtime in µs since the epoch."""

    kind: str
    size: int
    mode: int
    mtime_us: int
    nlink: int


class DirectoryEntry(NamedTuple):
    name: str
    kind: str


class Files:
    """Paths are absolute, as the agent sees them. Every method takes `timeout_ms`; the client's own holds where it is left out."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def open(self, path: str, open_mode: str = "r", mode: int = 0o644, timeout_ms: Optional[float] = None) -> File:
        """`r` reads, `w` writes from empty, `a` appends, `x` writes and must create; `+` reads and writes. `mode`: permission bits of a new file."""
        flags = _MODES.get(open_mode)
        if flags is None:
            raise invalid(f"{open_mode!r} is no way to open a file; use one of {', '.join(_MODES)} (files are bytes here)")
        file, size = self._scope.call("fs.open", [path, flags, mode], timeout_ms)
        return File(self._scope, path, file, size)

    def read_file(self, path: str, max_bytes: int = DEFAULT_MAX_BYTES, timeout_ms: Optional[float] = None) -> bytes:
        """The whole file. Raises E_FRAME_TOO_LARGE when it holds more than `max_bytes`."""
        with self.open(path, "r", timeout_ms=timeout_ms) as file:
            data = file.read(max_bytes + 1, timeout_ms=timeout_ms) if file.size <= max_bytes else None
        if data is None or len(data) > max_bytes:
            raise make_error("E_FRAME_TOO_LARGE", f"{path} holds more than {max_bytes} bytes: open it and read parts")
        return data

    def read_text(self, path: str, max_bytes: int = DEFAULT_MAX_BYTES, timeout_ms: Optional[float] = None) -> str:
        """As read_file, as UTF-8. Raises E_CONFLICT when it is none."""
        return decode_text(self.read_file(path, max_bytes, timeout_ms), path)

    def write_file(self, path: str, data: Union[bytes, str], mode: int = 0o644, timeout_ms: Optional[float] = None) -> None:
        """Replaces the file's content, creating it where it is not there."""
        with self.open(path, "w", mode, timeout_ms) as file:
            file.write(data, timeout_ms=timeout_ms)

    def append_file(self, path: str, data: Union[bytes, str], mode: int = 0o644, timeout_ms: Optional[float] = None) -> None:
        with self.open(path, "a", mode, timeout_ms) as file:
            file.write(data, timeout_ms=timeout_ms)

    def readdir(self, path: str, timeout_ms: Optional[float] = None) -> List[DirectoryEntry]:
        found: List[DirectoryEntry] = []
        cursor = empty = 0
        while True:
            entries, cursor = self._scope.call("fs.readdir", [path, cursor, DIRECTORY_PAGE], timeout_ms)
            found += [DirectoryEntry(name, _kind(kind)) for name, kind in entries]
            if cursor == 0:
                return found
            empty = empty + 1 if not entries else 0
            if len(found) > MAX_DIRECTORY_ENTRIES or empty > MAX_EMPTY_PAGES:
                raise make_error("E_FRAME_TOO_LARGE", f"{path} holds more than {MAX_DIRECTORY_ENTRIES} names")

    def stat(self, path: str, timeout_ms: Optional[float] = None) -> Stat:
        """A final symlink is not followed."""
        kind, size, mode, mtime_us, nlink = self._scope.call("fs.stat", [path], timeout_ms)
        return Stat(_kind(kind), size, mode, mtime_us, nlink)

    def mkdir(self, path: str, mode: int = 0o755, timeout_ms: Optional[float] = None) -> None:
        self._scope.call("fs.mkdir", [path, mode], timeout_ms)

    def rmdir(self, path: str, timeout_ms: Optional[float] = None) -> None:
        """Removes an empty directory."""
        self._scope.call("fs.rmdir", [path], timeout_ms)

    def unlink(self, path: str, timeout_ms: Optional[float] = None) -> None:
        self._scope.call("fs.unlink", [path], timeout_ms)

    def rename(
        self, source: str, target: str, no_replace: bool = False, exchange: bool = False, timeout_ms: Optional[float] = None
    ) -> None:
        """Atomic. `no_replace`: E_EXISTS where the new name is taken. `exchange`: swaps the two names."""
        flags = (wire.RENAME_NOREPLACE if no_replace else 0) | (wire.RENAME_EXCHANGE if exchange else 0)
        self._scope.call("fs.rename", [source, target, flags], timeout_ms)

    def truncate(self, path: str, size: int, timeout_ms: Optional[float] = None) -> None:
        self._scope.call("fs.truncate", [path, size], timeout_ms)

    def chmod(self, path: str, mode: int, timeout_ms: Optional[float] = None) -> None:
        self._scope.call("fs.chmod", [path, mode], timeout_ms)

    def utimens(
        self, path: str, atime_us: Optional[int], mtime_us: Optional[int], timeout_ms: Optional[float] = None
    ) -> None:
        """µs since the epoch; None leaves a time as it is."""
        self._scope.call("fs.utimens", [path, atime_us, mtime_us], timeout_ms)

    def symlink(self, path: str, target: str, timeout_ms: Optional[float] = None) -> None:
        """Makes `path` a symbolic link that says `target`."""
        self._scope.call("fs.symlink", [path, target], timeout_ms)

    def link(self, source: str, target: str, timeout_ms: Optional[float] = None) -> None:
        """Makes `target` another name of the file `source`."""
        self._scope.call("fs.link", [source, target], timeout_ms)

    def readlink(self, path: str, timeout_ms: Optional[float] = None) -> str:
        return self._scope.call("fs.readlink", [path], timeout_ms)[0]

    def fsyncdir(self, path: str, timeout_ms: Optional[float] = None) -> None:
        """Returns when the host has the directory's names on stable storage."""
        self._scope.call("fs.fsyncdir", [path], timeout_ms)


def decode_text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise make_error("E_CONFLICT", f"{what} is not UTF-8 text") from None


def _kind(kind: str) -> str:
    """A kind a newer gate may know is `other` here."""
    return kind if kind in _KINDS else "other"
