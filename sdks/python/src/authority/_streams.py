"""Streams of one session. The first bytes of one may come before the result that names it, because a result waits for the log."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Set

from . import _protocol as wire
from ._errors import AuthorityError, error_of_reply, protocol_error
from ._stream import ByteStream


class Streams:
    """All methods are called under the session's lock."""

    def __init__(self, max_streams: int, create: Callable[[int, Callable[[], None]], ByteStream], openings: Callable[[], int]) -> None:
        self._max_streams = max_streams
        self._create = create
        # Requests under way that may open a stream.
        self._openings = openings
        self._open: Dict[int, ByteStream] = {}
        # Streams that spoke and were not named yet.
        self._early: Dict[int, ByteStream] = {}
        self._past = _Numbers()

    def named(self, number: int) -> ByteStream:
        """The stream of a result. Raises E_PROTOCOL when the number was given before."""
        stream = self._early.pop(number, None)
        if stream is None:
            if number == 0 or number in self._past:
                raise protocol_error(f"stream {number} is given out twice")
            stream = self._new(number)
        if not stream.over:
            self._open[number] = stream
        if len(self._open) > self._max_streams:
            raise protocol_error(f"more than {self._max_streams} streams")
        return stream

    def on_message(self, message: List[Any]) -> None:
        """Raises E_PROTOCOL for a number that was never given out and that no request under way can account for."""
        kind, number = message[0], message[1]
        stream = self._open.get(number) or self._early.get(number) or self._unknown(number)
        if stream is None or stream.over:
            return
        if kind == wire.MESSAGE_STREAM_DATA:
            stream.on_data(message[2])
        elif kind == wire.MESSAGE_STREAM_END:
            stream.on_end()
        elif kind == wire.MESSAGE_STREAM_CREDIT:
            stream.on_credit(message[2])
        else:
            stream.fail(error_of_reply(message[2], message[3]))

    def orphans(self) -> List[ByteStream]:
        """After an answer: when nothing under way could name them, streams that spoke early belong to requests that failed."""
        if not self._early or self._openings() > 0:
            return []
        orphans = list(self._early.values())
        self._early.clear()
        return orphans

    def fail(self, error: AuthorityError) -> None:
        for stream in [*self._open.values(), *self._early.values()]:
            stream.fail(error)
        self._open.clear()
        self._early.clear()

    def _unknown(self, number: int) -> Optional[ByteStream]:
        if number in self._past:
            return None
        if self._openings() == 0 or len(self._early) >= self._max_streams:
            raise protocol_error(f"stream {number} was never opened")
        stream = self._new(number)
        self._early[number] = stream
        return stream

    def _new(self, number: int) -> ByteStream:
        self._past.add(number)
        return self._create(number, lambda: self._open.pop(number, None) and None)


class _Numbers:
    """A set of numbers that takes no room as long as they come without gaps."""

    def __init__(self) -> None:
        self._below = 1
        self._above: Set[int] = set()

    def __contains__(self, number: int) -> bool:
        return number < self._below or number in self._above

    def add(self, number: int) -> None:
        self._above.add(number)
        while self._below in self._above:
            self._above.remove(self._below)
            self._below += 1
