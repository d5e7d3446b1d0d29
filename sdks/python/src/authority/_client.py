"""connect() and the client it gives."""

from __future__ import annotations

import os
from typing import Any, Iterator, List, Mapping, NamedTuple, Optional, Sequence

from ._connection import Connection
from ._errors import AuthorityError, invalid
from ._fs import Files
from ._limits import CONNECT_TIMEOUT_MS, DEFAULT_SOCKET, DEFAULT_TIMEOUT_MS, MAX_TOKEN_FILE_BYTES
from ._net import Net
from ._protocol import MAX_DEADLINE_MS, MAX_TOKEN_BYTES, OPERATIONS
from ._scope import Scope
from ._token import attenuate
from ._wait import limit_of

_FROM_ENVIRONMENT = "AUTHORITY_TOKEN_FILE"


class BudgetRow(NamedTuple):
    """One budget of one account, in the unit of its dimension; a limit of None is unlimited. `reserved` is held for effects under way."""

    account: str
    dimension: str
    limit: Optional[int]
    captured: int
    reserved: int


class BudgetPoint(NamedTuple):
    """`time_ms` since the epoch begins a stretch in which something was spent; `captured` is spent before the next point, of the last point until now."""

    time_ms: int
    captured: int


class BudgetHistory(NamedTuple):
    """How what an account spent of one dimension grew, oldest point first; the older, the wider the stretches they stand for."""

    account: str
    dimension: str
    points: List[BudgetPoint]


class BudgetMark(NamedTuple):
    """So many percent (50, 80 or 95) of a limit are spent: a warning before it refuses. `captured` is what was spent when it was passed."""

    account: str
    dimension: str
    percent: int
    captured: int
    limit: int


class Budget:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def status(self, timeout_ms: Optional[float] = None) -> List[BudgetRow]:
        """What is left of each budget this client's effects are charged to."""
        return [BudgetRow(*row) for row in self._scope.call("budget.status", [], timeout_ms)[0]]

    def history(self, account: str = "run", timeout_ms: Optional[float] = None) -> List[BudgetHistory]:
        """How the spending of an account that `status` names went since the gate began: a row for each dimension, of at most 64 points."""
        rows = self._scope.call("budget.history", [account], timeout_ms)[0]
        return [BudgetHistory(account, dimension, [BudgetPoint(*point) for point in points]) for dimension, points in rows]

    def marks(self, timeout_ms: Optional[float] = None) -> Iterator[BudgetMark]:
        """Each time 50, 80 or 95 % of a limit are spent, of the run, of a class of operations or of this client's token: those passed before first,
        then each as it is passed. Never ends by itself; with a `timeout_ms` it raises E_TIMEOUT when none came for so long."""
        after = 0
        while True:
            for after, *mark in self._marks_after(after, timeout_ms):
                yield BudgetMark(*mark)

    def _marks_after(self, after: int, timeout_ms: Optional[float]) -> List[List[Any]]:
        try:
            rows: List[List[Any]] = self._scope.call("budget.marks", [after], MAX_DEADLINE_MS if timeout_ms is None else timeout_ms)[0]
            return rows
        except AuthorityError as error:
            if timeout_ms is None and error.code == "E_TIMEOUT":
                return []
            raise


class Client:
    """A session with the gate, or a view of one that acts under another capability (`bind`). Any thread may use it."""

    def __init__(self, connection: Connection, handle: int, token: Optional[str]) -> None:
        """Use connect()."""
        self._connection = connection
        self._scope = Scope(connection, handle)
        self._token = token
        self._released = False
        self.fs = Files(self._scope)
        self.net = Net(self._scope)
        self.budget = Budget(self._scope)

    @property
    def run(self) -> str:
        """Id of the run."""
        return self._connection.run

    def ping(self, timeout_ms: Optional[float] = None) -> None:
        """Proves that the gate answers; performs nothing."""
        self._scope.call("session.ping", [b""], timeout_ms)

    def call(self, operation: str, args: Sequence[Any], timeout_ms: Optional[float] = None) -> List[Any]:
        """Any operation of SPEC.md by name, with its positional arguments: for what this client has no method for."""
        if operation not in OPERATIONS:
            raise invalid(f"there is no operation {operation!r}")
        return self._scope.call(operation, args, timeout_ms)

    def token(self, timeout_ms: Optional[float] = None) -> str:
        """The token this client acts under; the run's own is asked for."""
        return self._token if self._token is not None else self._scope.call("cap.self", [], timeout_ms)[0]

    def attenuate(self, restriction: Mapping[str, Any], timeout_ms: Optional[float] = None) -> str:
        """A token that allows only what both this client's token and `restriction` allow, computed here. Hand it on, or `bind` it."""
        return attenuate(self.token(timeout_ms), restriction)

    def bind(self, token: str, timeout_ms: Optional[float] = None) -> "Client":
        """A view of this session that acts under `token`. Closing it gives the handle up; the session goes on."""
        (handle,) = self._scope.call("cap.bind", [token], timeout_ms)
        return Client(self._connection, handle, token)

    def close(self) -> None:
        """Ends the session; of a view, releases its capability. Calls under way fail with E_CANCELLED. Never raises."""
        if self._scope.handle == 0:
            self._connection.close()
        elif not self._released:
            self._released = True
            try:
                self._connection.call("cap.release", [self._scope.handle], 0, limit_of(None, self._connection.timeout_ms))
            except AuthorityError:
                pass

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def connect(
    socket: Optional[str] = None,
    token: Optional[str] = _FROM_ENVIRONMENT,
    timeout_ms: float = DEFAULT_TIMEOUT_MS,
    connect_timeout_ms: float = CONNECT_TIMEOUT_MS,
) -> Client:
    """Connects to the gate. Raises ConnectionLost, CapabilityError for a token that does not hold, E_TIMEOUT.

    `socket`: path; default AUTHORITY_SOCKET, else /run/authority/gate.sock. `token`: capability to act under; default the content of the file
    AUTHORITY_TOKEN_FILE names, else the run's own; None is the run's own. `timeout_ms`: what each call waits when it does not say otherwise.
    """
    path = socket or os.environ.get("AUTHORITY_SOCKET") or DEFAULT_SOCKET
    acting = _token_of_environment() if token == _FROM_ENVIRONMENT else token
    limit_of(timeout_ms, timeout_ms)
    connection = Connection(path, acting, timeout_ms, limit_of(connect_timeout_ms, CONNECT_TIMEOUT_MS))
    return Client(connection, 0, acting)


def _token_of_environment() -> Optional[str]:
    """Tokens travel in files: a command line or an environment is for everyone to read."""
    path = os.environ.get("AUTHORITY_TOKEN_FILE")
    if not path:
        return None
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            token = file.read(MAX_TOKEN_FILE_BYTES + 1).strip()
    except OSError as cause:
        raise invalid(f"AUTHORITY_TOKEN_FILE: {path} cannot be read ({cause.strerror})") from cause
    if len(token) > MAX_TOKEN_BYTES:
        raise invalid(f"AUTHORITY_TOKEN_FILE: {path} is too long to hold a token")
    return token
