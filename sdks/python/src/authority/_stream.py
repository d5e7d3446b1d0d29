"""Byte streams of a session, with credit in both directions: neither side ever holds more than the window."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Callable, Deque, Iterator, List, Optional, Union

from . import _protocol as wire
from ._errors import AuthorityError, make_error, protocol_error
from ._limits import MAX_SAFE_INTEGER
from ._wait import Limit, limit_of, wait_until

_CANCELLED = wire.ERRORS["E_CANCELLED"].number


class ByteStream:
    """Bytes in both directions. Any thread may read, write and close."""

    def __init__(
        self,
        number: int,
        credit: int,
        timeout_ms: float,
        lock: threading.RLock,
        send: Callable[[List[Any], Optional[Limit]], None],
        on_over: Callable[[], None],
    ) -> None:
        self.number = number
        # Of a connection the pinned address; of an accepted one the address and port it came from; empty for other streams.
        self.address = ""
        self._initial_credit = credit
        self._timeout_ms = timeout_ms
        self._send = send
        self._on_over = on_over
        self._changed = threading.Condition(lock)
        self._writing = threading.Lock()
        self._incoming: Deque[bytes] = deque()
        self._window = credit  # bytes the gate may still send
        self._owed = 0  # bytes read and not yet given back as credit
        self._credit = credit  # bytes that may still be sent to the gate
        self._gate_ended = False
        self._ended = False
        self._failure: Optional[AuthorityError] = None
        self.over = False

    def read(self, timeout_ms: Optional[float] = None) -> Optional[bytes]:
        """The next bytes as they came, or None at the end. Raises what reset the stream, E_TIMEOUT (the stream goes on)."""
        limit = limit_of(timeout_ms, self._timeout_ms)
        with self._changed:
            wait_until(
                self._changed,
                lambda: bool(self._incoming) or self._gate_ended or self._failure is not None,
                limit,
                "reading from the stream",
            )
            if not self._incoming:
                if self._failure is not None:
                    raise self._failure
                return None
            chunk = self._incoming.popleft()
            credit = self._give_back(len(chunk))
        if credit:
            self._send([wire.MESSAGE_STREAM_CREDIT, self.number, credit], limit)
        return chunk

    def write(self, data: Union[bytes, str], timeout_ms: Optional[float] = None) -> None:
        """Returns when the gate has granted room for all of it and it was sent. Raises what reset the stream, E_CANCELLED after end or close."""
        limit = limit_of(timeout_ms, self._timeout_ms)
        left = memoryview(data.encode("utf-8") if isinstance(data, str) else data).cast("B")
        if not self._writing.acquire(timeout=limit.left()):
            raise limit.passed("writing to the stream")
        try:
            while left:
                size = self._take_credit(len(left), limit)
                self._send([wire.MESSAGE_STREAM_DATA, self.number, left[:size]], limit)
                left = left[size:]
        finally:
            self._writing.release()

    def end(self) -> None:
        """Nothing more will be written; reading goes on."""
        with self._changed:
            if self.over or self._ended:
                return
            self._ended = True
            self._over_when_both_ended()
        self._send([wire.MESSAGE_STREAM_END, self.number], None)

    def close(self) -> None:
        """Ends both directions now; bytes under way are lost."""
        with self._changed:
            if self.over:
                return
            self.fail(make_error("E_CANCELLED", "the stream was closed"))
        self._send([wire.MESSAGE_STREAM_RESET, self.number, _CANCELLED, "closed by the client"], None)

    def __iter__(self) -> Iterator[bytes]:
        try:
            while True:
                chunk = self.read()
                if chunk is None:
                    return
                yield chunk
        finally:
            if not self._gate_ended:
                self.close()

    def __enter__(self) -> "ByteStream":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    # ── from the gate, under the lock ──

    def on_data(self, data: bytes) -> None:
        """Raises E_PROTOCOL for more than was granted or anything after the end."""
        if self._gate_ended:
            raise self._broken("data after its end")
        if len(data) > self._window:
            raise self._broken(f"{len(data)} bytes where {self._window} were granted")
        self._window -= len(data)
        self._incoming.append(data)
        self._changed.notify_all()

    def on_end(self) -> None:
        if self._gate_ended:
            raise self._broken("a second end")
        self._gate_ended = True
        self._over_when_both_ended()
        self._changed.notify_all()

    def on_credit(self, size: int) -> None:
        if self._credit + size > MAX_SAFE_INTEGER:
            raise self._broken("credit overflows")
        self._credit += size
        self._changed.notify_all()

    def fail(self, error: AuthorityError) -> None:
        """What was received can still be read; then comes `error`."""
        if self.over:
            return
        self._failure = error
        self._finish()

    def _take_credit(self, wanted: int, limit: Limit) -> int:
        with self._changed:
            wait_until(
                self._changed,
                lambda: self._credit > 0 or self._ended or self._failure is not None,
                limit,
                "writing to the stream",
            )
            if self._failure is not None:
                raise self._failure
            if self._ended:
                raise make_error("E_CANCELLED", "the stream was ended by this side", "EPIPE")
            size = min(wanted, self._credit, wire.MAX_CHUNK_BYTES)
            self._credit -= size
            return size

    def _give_back(self, size: int) -> int:
        """Credit goes back when half the window was read: the gate never waits for a full round trip."""
        self._owed += size
        if self.over or self._gate_ended or self._owed < self._initial_credit / 2:
            return 0
        credit, self._owed = self._owed, 0
        self._window += credit
        return credit

    def _over_when_both_ended(self) -> None:
        if self._ended and self._gate_ended:
            self._finish()

    def _finish(self) -> None:
        self.over = True
        self._on_over()
        self._changed.notify_all()

    def _broken(self, cause: str) -> AuthorityError:
        return protocol_error(f"stream {self.number}: {cause}")
