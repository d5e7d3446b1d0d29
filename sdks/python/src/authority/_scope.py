"""A connection and the capability its calls act under: what fs, net and budget speak through."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

from ._connection import Answer, Connection
from ._wait import limit_of


class Scope:
    def __init__(self, connection: Connection, handle: int) -> None:
        self.connection = connection
        # 0 is what the session said hello with.
        self.handle = handle

    def call(self, operation: str, args: Sequence[Any], timeout_ms: Optional[float]) -> List[Any]:
        return self.open(operation, args, timeout_ms).values

    def open(self, operation: str, args: Sequence[Any], timeout_ms: Optional[float]) -> Answer:
        return self.connection.call(operation, args, self.handle, limit_of(timeout_ms, self.connection.timeout_ms))
