"""Ports of the host on which a client is reached."""

from __future__ import annotations

from typing import Any, Iterator, Optional

from ._errors import AuthorityError, make_error
from ._scope import Scope
from ._stream import ByteStream


class Listener:
    """A port of the host on which this client is reached. Each connection is decided by the gate before it is handed over. Any thread may use it."""

    def __init__(self, scope: Scope, number: int, address: str) -> None:
        """Use net.listen()."""
        self._scope = scope
        self._number = number
        self._closed = False
        # Where it is reached, "127.0.0.1:8080".
        self.address = address

    def accept(self, timeout_ms: Optional[float] = None) -> ByteStream:
        """The next connection; its `address` is where it came from. Raises E_TIMEOUT when none came in time, E_CANCELLED once closed."""
        if self._closed:
            raise make_error("E_CANCELLED", "the listener was closed")
        answer = self._scope.open("net.accept", [self._number], timeout_ms)
        assert answer.stream is not None
        answer.stream.address = answer.values[2]
        return answer.stream

    def close(self) -> None:
        """Stops listening; connections that were accepted go on. Never raises."""
        if self._closed:
            return
        self._closed = True
        try:
            self._scope.call("net.close", [self._number], None)
        except AuthorityError:
            pass

    def __iter__(self) -> Iterator[ByteStream]:
        """One connection after the other until it is closed, however long none comes."""
        try:
            while not self._closed:
                try:
                    stream = self.accept()
                except AuthorityError as error:
                    if error.code == "E_TIMEOUT" or (self._closed and error.code == "E_CANCELLED"):
                        continue
                    raise
                yield stream
        finally:
            self.close()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
