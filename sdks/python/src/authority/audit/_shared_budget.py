"""What all runs of an installation share (FORMAT.md "The shared budget")."""

from __future__ import annotations

from typing import Any

from ._notes import Tampered
from ._records import MAX_LIMITED

Amounts = dict[str, int]


class SharedBudget:
    """Fed with the records of the installation log in order. Raises Tampered."""

    def __init__(self) -> None:
        self.limits: Amounts = {}
        self.counted: Amounts = {}
        self.leases: dict[str, Amounts] = {}

    def add(self, record: dict[str, Any]) -> None:
        kind = record["type"]
        if kind == "BUDGET_LIMITS":
            self.limits = record["limits"]
        elif kind == "BUDGET_LEASE":
            self._lease(record["run"], record["lease"])
        elif kind == "BUDGET_RETURN":
            self._give_back(record["run"], record["unused"])
        elif kind == "BUDGET_SPENT":
            self._spent(record["run"], record["spent"])

    def _lease(self, run: str, lease: Amounts) -> None:
        if len(self.leases) >= MAX_LIMITED:
            raise Tampered(f"more than {MAX_LIMITED} runs hold a lease")
        held = self.leases.setdefault(run, {})
        for dimension, amount in lease.items():
            held[dimension] = held.get(dimension, 0) + amount
            total = self._count(dimension, amount)
            if amount > 0 and dimension in self.limits and total > self.limits[dimension]:
                raise Tampered(f"{dimension} of the installation reaches {total} of {self.limits[dimension]}")

    def _give_back(self, run: str, unused: Amounts) -> None:
        held = self.leases.get(run)
        for dimension, amount in unused.items():
            left = (held or {}).get(dimension, 0) - amount
            if left < 0:
                raise Tampered(f"run {run} returns more {dimension} than it leased")
            if held is not None:
                held[dimension] = left
            self._count(dimension, -amount)

    def _spent(self, run: str, spent: Amounts) -> None:
        held = self.leases.pop(run, None)
        if held is None:
            if any(spent.values()):
                raise Tampered(f"run {run} spends of a lease it does not hold")
            return
        for dimension, amount in held.items():
            self._count(dimension, -amount)
        for dimension, amount in spent.items():
            self._count(dimension, amount)

    def _count(self, dimension: str, amount: int) -> int:
        self.counted[dimension] = self.counted.get(dimension, 0) + amount
        return self.counted[dimension]
