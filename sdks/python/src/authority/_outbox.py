"""What this client sends: frames in order, written by whichever thread is there, never blocking without a deadline."""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from typing import Deque, Optional

from ._wait import Limit


class Outbox:
    """A partly written frame stays at the head, so that a deadline in its middle does not break the stream."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._waiting: Deque[memoryview] = deque()
        self._writing = threading.Lock()

    def put(self, frame: bytes) -> None:
        """Adds a frame. The caller holds the lock that orders frames, and flushes when it has let go of it."""
        self._waiting.append(memoryview(frame))

    def flush(self, limit: Optional[Limit]) -> bool:
        """Writes what waits until all is out or time is up; without a limit only what goes at once. False when something is left. Raises OSError."""
        while self._waiting:
            if not self._writing.acquire(timeout=0 if limit is None else limit.left()):
                return False
            try:
                if not self._write(limit):
                    return False
            finally:
                self._writing.release()
        return True

    def _write(self, limit: Optional[Limit]) -> bool:
        while self._waiting:
            head = self._waiting[0]
            try:
                sent = self._link.send(head)
            except BlockingIOError:
                if limit is None or not _writable(self._link, limit):
                    return False
                continue
            if sent == len(head):
                self._waiting.popleft()
            else:
                self._waiting[0] = head[sent:]
        return True


def _writable(link: socket.socket, limit: Limit) -> bool:
    poll = select.poll()
    poll.register(link.fileno(), select.POLLOUT)
    return bool(poll.poll(limit.left() * 1000))
