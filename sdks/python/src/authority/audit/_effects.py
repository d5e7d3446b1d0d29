"""What the records of a run must keep to (FORMAT.md, rules 1 to 4)."""

from __future__ import annotations

from typing import Any

from ._notes import Head, Tampered
from ._records import DIMENSIONS, KNOWN, LEVELS, MAX_LIMITED, MAX_OPEN, SLICE_MS, SLICED


class Account:
    def __init__(self, name: str) -> None:
        self.name = name
        self.limits: dict[str, int] = {}
        self.captured: dict[str, int] = {}
        self.reserved: dict[str, int] = {}

    def counts(self, dimension: str) -> bool:
        # Of the run everything counts from the start: a later policy may limit it.
        return dimension in self.limits or (self.name == "run" and dimension in DIMENSIONS)

    def capture(self, dimension: str, amount: int) -> None:
        if self.counts(dimension):
            self.captured[dimension] = self.captured.get(dimension, 0) + amount


class Effect:
    def __init__(self, accounts: list[Account], reserved: dict[str, int]) -> None:
        self.accounts = accounts
        self.reserved = dict(reserved)
        self.outcome = False
        self.closed = False

    def free(self, dimension: str, amount: int) -> None:
        for account in self.accounts:
            if dimension in account.reserved:
                account.reserved[dimension] -= amount

    def capture(self, captured: dict[str, int], overrun: bool) -> None:
        for dimension, amount in captured.items():
            if dimension in LEVELS:
                continue
            if not overrun and amount > self.reserved.get(dimension, 0):
                raise Tampered(f"{amount} {dimension} captured of {self.reserved.get(dimension, 0)} reserved")
            for account in self.accounts:
                account.capture(dimension, amount)


class Rules:
    """Fed record by record. Raises Tampered."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {"run": Account("run")}
        self.open: dict[int, Effect] = {}
        self.slack = SLICE_MS
        self.start: dict[str, Any] | None = None
        self.ended_by: str | None = None
        self.recovered = False
        self.effects = 0
        self.denials = 0
        self.unknown = 0
        self._boot = 0

    def add(self, r: dict[str, Any], head: Head | None) -> None:
        kind = r["type"]
        if (r["seq"] == 0) != (kind == "RUN_START"):
            raise Tampered("RUN_START is record 0, and only that")
        if self.ended_by is not None:
            raise Tampered(f"a {kind} record after RUN_END")
        if r["boot_ms"] < self._boot and kind != "RECOVERED" and not self.recovered:
            raise Tampered("the monotonic clock goes back")
        self._boot = r["boot_ms"]
        rule = getattr(self, f"_{kind.lower()}", None)
        if rule is not None:
            rule(r)
        if kind == "CHECKPOINT" and (head is None or head.size != r["size"] or head.root.hex() != r["root"]):
            raise Tampered(f"the checkpoint of {r['size']} records is missing")

    def _run_start(self, r: dict[str, Any]) -> None:
        self.start = r
        for row in r["limits"]:
            limits = self.accounts.setdefault(row["account"], Account(row["account"])).limits
            limits[row["dimension"]] = min(row["limit"], limits.get(row["dimension"], row["limit"]))
        cpus = r["detail"].get("cpus")
        if isinstance(cpus, int) and not isinstance(cpus, bool) and 1 <= cpus <= 1024:
            self.slack = cpus * SLICE_MS

    def _limit(self, r: dict[str, Any]) -> None:
        if r["account"] not in self.accounts and len(self.accounts) >= MAX_LIMITED:
            raise Tampered(f"more than {MAX_LIMITED} accounts have limits")
        account = self.accounts.setdefault(r["account"], Account(r["account"]))
        for dimension, limit in r["limits"].items():
            account.limits[dimension] = min(limit, account.limits.get(dimension, limit))
            total = account.captured.get(dimension, 0) + account.reserved.get(dimension, 0)
            if total > limit:
                raise Tampered(f"{dimension} of account {account.name} gets a limit of {limit} and has {total} already")

    def _intent(self, r: dict[str, Any]) -> None:
        self.effects += 1
        if len(self.open) >= MAX_OPEN:
            raise Tampered(f"more than {MAX_OPEN} effects are open at once")
        if len(set(r["accounts"])) != len(r["accounts"]):
            raise Tampered("an account is charged twice")
        effect = Effect([self.accounts[name] for name in r["accounts"] if name in self.accounts], r["reserve"])
        self.open[r["seq"]] = effect
        self._reserve(effect, r["reserve"])

    def _lease(self, r: dict[str, Any]) -> None:
        effect = self.open.get(r["intent"])
        if effect is None or effect.closed:
            raise Tampered(f"a lease for {r['intent']}, which is not open")
        for dimension, amount in r["reserve"].items():
            effect.reserved[dimension] = effect.reserved.get(dimension, 0) + amount
        self._reserve(effect, r["reserve"])

    def _reserve(self, effect: Effect, amounts: dict[str, int]) -> None:
        for account in effect.accounts:
            for dimension, amount in amounts.items():
                if not account.counts(dimension):
                    continue
                held = account.reserved.get(dimension, 0) + amount
                account.reserved[dimension] = held
                total, limit = account.captured.get(dimension, 0) + held, account.limits.get(dimension)
                if amount > 0 and limit is not None and total > limit:
                    raise Tampered(f"{dimension} of account {account.name} reaches {total} of {limit}")

    def _outcome(self, r: dict[str, Any]) -> None:
        effect = self.open.get(r["intent"])
        if effect is None or effect.outcome:
            raise Tampered(f"an outcome of {r['intent']}, which is not an open effect")
        captured, leased, unknown = r["captured"], r.get("leased"), r["status"] == "unknown"
        self.unknown += unknown
        effect.outcome = True
        kept = {}
        for dimension, reserved in effect.reserved.items():
            stays = leased is not None and dimension in leased and not effect.closed
            if stays and leased[dimension] > reserved:
                raise Tampered(f"more {dimension} is leased than was reserved")
            if stays:
                kept[dimension] = reserved
            else:
                effect.free(dimension, reserved)
            if unknown and not stays and dimension not in KNOWN and captured.get(dimension, 0) < reserved:
                raise Tampered(f"an unknown outcome is not charged in full: {dimension}")
        effect.capture(captured, r.get("overrun") is True)
        effect.reserved = kept
        if leased is None or effect.closed:
            del self.open[r["intent"]]

    def _close(self, r: dict[str, Any]) -> None:
        effect = self.open.get(r["intent"])
        if effect is None or effect.closed:
            raise Tampered(f"a close of {r['intent']}, which is not open")
        effect.closed = True
        kept = {}
        for dimension, reserved in effect.reserved.items():
            if effect.outcome or dimension in r["captured"]:
                effect.free(dimension, reserved)
            else:
                kept[dimension] = reserved
        effect.capture(r["captured"], False)
        effect.reserved = kept
        if effect.outcome:
            del self.open[r["intent"]]

    def _time(self, r: dict[str, Any]) -> None:
        run = self.accounts["run"]
        for dimension, amount in r["captured"].items():
            run.capture(dimension, amount)
            total, limit = run.captured.get(dimension, 0), run.limits.get(dimension)
            if limit is not None and total > limit + (self.slack if dimension in SLICED else 0):
                raise Tampered(f"{dimension} of the run reaches {total} of {limit}")

    def _deny(self, _: dict[str, Any]) -> None:
        self.denials += 1

    def _deny_repeat(self, r: dict[str, Any]) -> None:
        self.denials += r["count"]
        if r["first"] >= r["seq"]:
            raise Tampered("a repeated denial names a later one")

    def _recovered(self, _: dict[str, Any]) -> None:
        self.recovered = True

    def _run_end(self, r: dict[str, Any]) -> None:
        self.ended_by = r["ended_by"]
        if self.open:
            raise Tampered(f"the run ended with {len(self.open)} effects open")
