"""Request bodies that are streamed: too large for the request itself, or not known when it begins."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from typing import Any, AsyncIterable, AsyncIterator, BinaryIO, Iterable, Iterator, Optional, TextIO, Union

from ._errors import AuthorityError, invalid
from ._limits import MAX_WHOLE_BODY_BYTES
from ._protocol import MAX_CHUNK_BYTES
from ._scope import Scope
from ._stream import ByteStream

Part = Union[bytes, bytearray, memoryview, str]
Body = Union[Part, BinaryIO, TextIO, Iterable[Part], AsyncIterable[Part]]

_BYTES = (bytes, bytearray, memoryview)


class BodySource:
    """Where the parts come from, and how many bytes they have, if that is known."""

    def __init__(self, parts: Union[Iterator[Any], AsyncIterator[Any]], size: Optional[int]) -> None:
        self.parts = parts
        self.bytes = size


def body_of(body: Optional[Body], given: Optional[int]) -> Union[bytes, bytearray, memoryview, BodySource, None]:
    """A body as bytes that fit the request, or as a source to stream. Raises E_CONFLICT for anything else."""
    if given is not None and (isinstance(given, bool) or not isinstance(given, int) or given < 0):
        raise invalid(f"body_bytes must be a whole number of bytes, not {given!r}")
    if body is None:
        return None
    if isinstance(body, str):
        body = body.encode("utf-8")
    if isinstance(body, _BYTES):
        size = memoryview(body).nbytes
        return body if size <= MAX_WHOLE_BODY_BYTES else BodySource(iter([body]), size)
    if hasattr(body, "read"):
        size = _size_of(body) if given is None else given
        return BodySource(_read_parts(body), size)
    if hasattr(body, "__aiter__"):
        return BodySource(body.__aiter__(), given)
    if hasattr(body, "__iter__"):
        return BodySource(iter(body), given)
    raise invalid("a body is text, bytes, a file, or an iterable or async iterable of text and bytes")


class Upload:
    """A body on its way, from a thread of its own, until the request it belongs to has failed or the body has ended."""

    def __init__(self, scope: Scope, source: BodySource, exchange_ms: float, timeout_ms: Optional[float]) -> None:
        self._source = source
        self._exchange_ms = exchange_ms
        self._error: Optional[BaseException] = None
        opened = scope.open("net.body", [], timeout_ms)
        assert opened.stream is not None
        self._stream: ByteStream = opened.stream
        # For net.fetch.
        self.number: int = opened.values[0]

    def __enter__(self) -> "Upload":
        threading.Thread(target=self._send, name="authority-upload", daemon=True).start()
        return self

    def __exit__(self, _: Any, failure: Optional[BaseException], __: Any) -> None:
        if failure is None:
            return
        source_failed = self._error
        self._stream.close()
        # Where the source failed, what the gate says is only what came of it.
        if source_failed is not None:
            raise source_failed from None

    def _send(self) -> None:
        """Writes it all and ends the stream; stops, without a word, when the gate wants no more of it."""
        parts = self._source.parts
        try:
            if isinstance(parts, AsyncIterator):
                asyncio.run(self._send_async(parts))
            else:
                for part in parts:
                    self._write(part)
            self._stream.end()
        except AuthorityError as error:
            self._broken(error)
        except BaseException as error:  # whatever a caller's iterable raises is the caller's to see
            self._broken(error)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    async def _send_async(self, parts: AsyncIterator[Any]) -> None:
        async for part in parts:
            self._write(part)

    def _write(self, part: Any) -> None:
        if not isinstance(part, (str, *_BYTES)):
            raise invalid("a body yields text and bytes")
        self._stream.write(part, self._exchange_ms)

    def _broken(self, error: BaseException) -> None:
        if self._stream.over:
            return
        self._error = error
        self._stream.close()


def _read_parts(file: Any) -> Iterator[Any]:
    while True:
        part = file.read(MAX_CHUNK_BYTES)
        if not part:
            return
        yield part


def _size_of(file: Any) -> Optional[int]:
    """What is left of a regular file that is read as bytes; of anything else nobody knows."""
    if "b" not in str(getattr(file, "mode", "")):
        return None
    try:
        status = os.fstat(file.fileno())
        return max(0, status.st_size - file.tell()) if stat.S_ISREG(status.st_mode) else None
    except (OSError, AttributeError, ValueError):
        return None
