"""INTENT, LEASE, OUTCOME and CLOSE: that each effect is paired, and that captured + reserved never passes a limit."""

from typing import Any, Dict, Iterable, Optional, Set, Tuple

from ._bounds import MAX_ACCOUNTS, MAX_CPUS, MAX_INTEGER, MAX_OPEN_EFFECTS, MAX_UNLIMITED_ACCOUNTS, TIME_SLICE_MS
from ._report import Damage

Amounts = Dict[str, int]
# Counted from the first record on, limit or not, for a limit may come later. Of others only those with a limit: a hostile log makes up names.
_TOTALS = ("calls", "tool_calls", "tokens", "cost_nano_usd", "bytes", "wall_time_ms", "cpu_ms", "concurrency", "log_bytes")
_DIMENSIONS = frozenset(_TOTALS + ("bytes_in", "bytes_out", "bytes_written", "tokens_in", "tokens_out"))
_LEVEL = "concurrency"
# An unknown outcome need not charge them: what is only held, and what moves through a lease alone and is counted there.
_KNOWN = (_LEVEL, "bytes", "bytes_in", "bytes_out", "bytes_written")
_SLICED = ("wall_time_ms", "cpu_ms")
# Tracked from the first record on, whether or not they have a limit yet.
_CLASSES = ("fs", "net", "tool", "infer", "state", "agent")
_STANDING = ("run", "installation") + tuple("installation:" + name for name in _CLASSES)


def share_of(key: str) -> Tuple[str, str]:
    """Account and dimension of what runs share: `calls` of installation, `net.calls` of installation:net."""
    name, dot, rest = key.partition(".")
    return ("installation:" + name, rest) if dot and name in _CLASSES else ("installation", key)


class _Effect:
    __slots__ = ("accounts", "reserved", "outcome", "closed")

    def __init__(self, accounts: Tuple[str, ...], reserved: Amounts) -> None:
        self.accounts, self.reserved = accounts, reserved
        self.outcome = False  # with dimensions leased until its CLOSE
        self.closed = False  # before its OUTCOME


class _Account:
    __slots__ = ("limits", "captured", "reserved")

    def __init__(self) -> None:
        self.limits: Amounts = {}
        self.captured: Amounts = {}
        self.reserved: Amounts = {}


    def counts(self, dimension: str) -> bool:
        return dimension in _DIMENSIONS or dimension in self.limits


class Effects:
    def __init__(self) -> None:
        self._open: Dict[int, _Effect] = {}
        self._accounts: Dict[str, _Account] = {name: _Account() for name in _STANDING}
        self._unlimited: Set[int] = set()
        self._slice = TIME_SLICE_MS
        self._late: Optional[str] = None  # time passed a limit by more than a slice: nothing may begin after that
        self.intents = 0

    def start(self, limits: Iterable[Dict[str, Any]], cpus: Any) -> None:
        if type(cpus) is int and 1 <= cpus <= MAX_CPUS:
            self._slice = TIME_SLICE_MS * cpus
        for row in limits:
            self._lower(self._account(row["account"]), {row["dimension"]: row["limit"]})

    def limit(self, name: str, limits: Amounts) -> None:
        """What an account was charged while it had no limit at all is not known any more."""
        if name not in self._accounts and self._may_be_charged(name):
            raise Damage("LIMIT: account %s was named before it had a limit" % name)
        account = self._account(name)
        self._lower(account, limits)
        for dimension in limits:
            self._within(name, account, dimension, 0)

    def leased(self, limits: Amounts) -> None:
        """A limit that may move, but never below what is captured and reserved."""
        for key, limit in limits.items():
            name, dimension = share_of(key)
            account = self._accounts[name]
            total = account.captured.get(dimension, 0) + account.reserved.get(dimension, 0)
            if limit < total <= account.limits.get(dimension, MAX_INTEGER):
                raise Damage("LEASED: %d %s are left of which %d are in use" % (limit, dimension, total))
            account.limits[dimension] = limit

    def intent(self, sequence: int, accounts: Iterable[str], reserve: Amounts) -> None:
        self._nothing_late("INTENT")
        if len(self._open) >= MAX_OPEN_EFFECTS:
            raise Damage("more than %d effects are open" % MAX_OPEN_EFFECTS)
        effect = _Effect(tuple(accounts), dict(reserve))
        self._open[sequence] = effect
        self.intents += 1
        self._reserve(effect, reserve)

    def lease(self, intent: int, reserve: Amounts) -> None:
        effect = self._get(intent)
        if effect.closed:
            raise Damage("LEASE: effect %d is closed" % intent)
        self._nothing_late("LEASE")
        for dimension, amount in reserve.items():
            effect.reserved[dimension] = effect.reserved.get(dimension, 0) + amount
        self._reserve(effect, reserve)

    def outcome(self, intent: int, status: str, captured: Amounts, leased: Optional[Amounts], overrun: bool) -> None:
        effect = self._get(intent)
        if effect.outcome:
            raise Damage("INTENT %d has a second OUTCOME" % intent)
        kept = set() if effect.closed else set(leased or ()) & set(effect.reserved)
        for dimension in kept:
            if (leased or {})[dimension] > effect.reserved[dimension]:
                raise Damage("OUTCOME of %d leases more %s than was reserved" % (intent, dimension))
        if status == "unknown":
            for dimension, amount in effect.reserved.items():
                if dimension not in kept and dimension not in _KNOWN and captured.get(dimension, 0) < amount:
                    raise Damage("OUTCOME of %d is unknown and does not capture all %s" % (intent, dimension))
        self._settle(intent, effect, (set(effect.reserved) | set(captured)), captured, overrun, kept)
        effect.outcome = True
        if leased is None or effect.closed:
            del self._open[intent]

    def close(self, intent: int, captured: Amounts) -> None:
        effect = self._get(intent)
        if effect.closed:
            raise Damage("effect %d is closed twice" % intent)
        self._settle(intent, effect, set(captured) | (set(effect.reserved) if effect.outcome else set()), captured, False)
        if effect.outcome:
            del self._open[intent]
        effect.closed = True

    def time(self, captured: Amounts) -> None:
        """Of the run, and of what it leased of the installation's. It cannot be held back: past its limit it ends what may begin, not the log."""
        shared = self._accounts["installation"]
        self._pass("run", self._accounts["run"], captured)
        self._pass("installation", shared, {dimension: n for dimension, n in captured.items() if dimension in shared.limits})

    def _pass(self, name: str, account: "_Account", captured: Amounts) -> None:
        for dimension, amount in captured.items():
            if not account.counts(dimension):
                continue
            account.captured[dimension] = account.captured.get(dimension, 0) + amount
            if dimension not in _SLICED:
                self._within(name, account, dimension, 0)
                continue
            total = account.captured[dimension] + account.reserved.get(dimension, 0)
            limit = account.limits.get(dimension, MAX_INTEGER)
            if total > limit + self._slice and self._late is None:
                self._late = "%d of %d %s of account %s passed" % (total, limit, dimension, name)

    def _nothing_late(self, kind: str) -> None:
        if self._late is not None:
            raise Damage("%s after %s" % (kind, self._late))

    def open_effects(self) -> int:
        return len(self._open)

    def _get(self, intent: int) -> _Effect:
        effect = self._open.get(intent)
        if effect is None:
            raise Damage("no INTENT %d is open" % intent)
        return effect

    def _account(self, name: str) -> _Account:
        account = self._accounts.get(name)
        if account is None:
            if len(self._accounts) >= MAX_ACCOUNTS + len(_STANDING):
                raise Damage("more than %d accounts have limits" % MAX_ACCOUNTS)
            account = self._accounts[name] = _Account()
        return account

    def _may_be_charged(self, name: str) -> bool:
        return hash(name) in self._unlimited or len(self._unlimited) >= MAX_UNLIMITED_ACCOUNTS

    @staticmethod
    def _lower(account: _Account, limits: Amounts) -> None:
        for dimension, limit in limits.items():
            account.limits[dimension] = min(limit, account.limits.get(dimension, limit))

    def _reserve(self, effect: _Effect, amounts: Amounts) -> None:
        for name in effect.accounts:
            account = self._accounts.get(name)
            if account is None:
                if len(self._unlimited) < MAX_UNLIMITED_ACCOUNTS:
                    self._unlimited.add(hash(name))
                continue
            for dimension, amount in amounts.items():
                if amount and account.counts(dimension):
                    account.reserved[dimension] = account.reserved.get(dimension, 0) + amount
                    self._within(name, account, dimension, 0)

    def _settle(
        self, intent: int, effect: _Effect, dimensions: Iterable[str], captured: Amounts, overrun: bool, kept: Iterable[str] = ()
    ) -> None:
        for dimension in dimensions:
            reserved = effect.reserved.get(dimension, 0)
            amount = captured.get(dimension, 0)
            freed = 0 if dimension in kept else effect.reserved.pop(dimension, 0)
            if amount > reserved and not overrun:
                raise Damage("effect %d captures %d %s of %d reserved" % (intent, amount, dimension, reserved))
            if amount and dimension == _LEVEL:
                raise Damage("effect %d captures a level: concurrency" % intent)
            for name in effect.accounts:
                account = self._accounts.get(name)
                if account is not None and account.counts(dimension):
                    if dimension in account.reserved:
                        account.reserved[dimension] -= freed
                    account.captured[dimension] = account.captured.get(dimension, 0) + amount

    @staticmethod
    def _within(name: str, account: _Account, dimension: str, grace: int) -> None:
        total = account.captured.get(dimension, 0) + account.reserved.get(dimension, 0)
        limit = account.limits.get(dimension, MAX_INTEGER)
        if total > limit + grace:
            raise Damage("account %s: captured + reserved is %d %s, the limit is %d" % (name, total, dimension, limit))
