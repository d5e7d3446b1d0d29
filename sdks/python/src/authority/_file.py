"""An open file."""

from __future__ import annotations

from typing import Any, List, Optional, Union

from ._errors import invalid, make_error, protocol_error
from ._limits import DEFAULT_MAX_BYTES
from ._protocol import MAX_CHUNK_BYTES
from ._scope import Scope


class File:
    """An open file. Reads and writes without an offset move one position, as in every language; use one from one thread at a time."""

    def __init__(self, scope: Scope, path: str, file: int, size: int) -> None:
        self.path = path
        # Bytes when it was opened.
        self.size = size
        self._scope = scope
        self._file = file
        self._position = 0
        self._closed = False

    def read(self, length: Optional[int] = None, offset: Optional[int] = None, timeout_ms: Optional[float] = None) -> bytes:
        """Up to `length` bytes, fewer only at the end of the file; all that is left (64 MiB at most) without a length."""
        most = DEFAULT_MAX_BYTES + 1 if length is None else length
        if isinstance(most, bool) or not isinstance(most, int) or most < 0:
            raise invalid(f"the length of a read must be a whole number of bytes, not {most!r}")
        start = self._position if offset is None else offset
        parts: List[bytes] = []
        got = 0
        while got < most:
            wanted = min(most - got, MAX_CHUNK_BYTES)
            (data,) = self._scope.call("fs.read", [self._file, start + got, wanted], timeout_ms)
            if len(data) > wanted:
                raise protocol_error(f"{self.path}: more bytes than were asked for")
            if not data:
                break
            parts.append(data)
            got += len(data)
        if length is None and got > DEFAULT_MAX_BYTES:
            raise make_error("E_FRAME_TOO_LARGE", f"{self.path} holds more than {DEFAULT_MAX_BYTES} bytes: read it in parts")
        if offset is None:
            self._position = start + got
        return b"".join(parts)

    def write(self, data: Union[bytes, str], offset: Optional[int] = None, timeout_ms: Optional[float] = None) -> int:
        """Writes all of `data` (text as UTF-8) and returns how many bytes that were. A file opened to append ignores the offset."""
        whole = memoryview(data.encode("utf-8") if isinstance(data, str) else data).cast("B")
        start = self._position if offset is None else offset
        done = 0
        while done < len(whole):
            part = whole[done : done + MAX_CHUNK_BYTES]
            (written,) = self._scope.call("fs.write", [self._file, start + done, part], timeout_ms)
            if not 0 < written <= len(part):
                raise make_error("E_IO", f"{self.path}: the gate wrote {written} of {len(part)} bytes")
            done += written
        if offset is None:
            self._position = start + done
        return done

    def fsync(self, timeout_ms: Optional[float] = None) -> None:
        """Returns when the host has the file on stable storage."""
        self._scope.call("fs.fsync", [self._file], timeout_ms)

    def close(self, timeout_ms: Optional[float] = None) -> None:
        """Totals and digest are recorded before it returns. A second close does nothing."""
        if self._closed:
            return
        self._closed = True
        self._scope.call("fs.close", [self._file], timeout_ms)

    def __enter__(self) -> "File":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
