"""Deadlines: every wait of this client has one."""

from __future__ import annotations

import threading
import time
from typing import Callable, Optional

from ._errors import AuthorityError, invalid, make_error
from ._protocol import MAX_DEADLINE_MS


class Limit:
    """A moment on the monotonic clock."""

    def __init__(self, timeout_ms: float) -> None:
        self.timeout_ms = timeout_ms
        self.at = time.monotonic() + timeout_ms / 1000

    def left(self, grace_ms: float = 0) -> float:
        """Seconds left, 0 when it passed."""
        return max(0.0, self.at + grace_ms / 1000 - time.monotonic())

    def passed(self, what: str) -> AuthorityError:
        return make_error("E_TIMEOUT", f"{what}: nothing came within {self.timeout_ms:g} ms")


def limit_of(timeout_ms: Optional[float], default_ms: float) -> Limit:
    """Raises E_CONFLICT for a time out of range."""
    chosen = default_ms if timeout_ms is None else timeout_ms
    if isinstance(chosen, bool) or not isinstance(chosen, (int, float)) or not 1 <= chosen <= MAX_DEADLINE_MS:
        raise invalid(f"timeout_ms must be from 1 to {MAX_DEADLINE_MS}, not {chosen!r}")
    return Limit(chosen)


def wait_until(changed: threading.Condition, ready: Callable[[], bool], limit: Limit, what: str, grace_ms: float = 0) -> None:
    """Waits, holding the condition's lock, until `ready`. Raises E_TIMEOUT."""
    while not ready():
        left = limit.left(grace_ms)
        if left == 0:
            raise limit.passed(what)
        changed.wait(left)
