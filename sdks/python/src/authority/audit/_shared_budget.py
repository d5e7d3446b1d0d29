"""The shared budget: after every lease, what all runs hold or have spent is at most the limit."""

from typing import Dict, Set

from ._bounds import MAX_INTEGER, MAX_RUNS
from ._report import Damage, Unreadable

Amounts = Dict[str, int]


class SharedBudget:
    def __init__(self) -> None:
        self._limits: Amounts = {}
        self._total: Amounts = {}
        self._held: Dict[str, Amounts] = {}  # of runs that have not said what they spent
        self._settled: Set[str] = set()
        self._leased_in_all: Dict[str, Amounts] = {}

    def set_limits(self, limits: Amounts) -> None:
        self._limits = dict(limits)

    def lease(self, run: str, amounts: Amounts) -> None:
        if run in self._settled:
            raise Damage("BUDGET_LEASE of a run that has said what it spent")
        if run not in self._held and len(self._held) >= MAX_RUNS:
            raise Unreadable("more than %d runs hold a lease" % MAX_RUNS)
        _add(self._held.setdefault(run, {}), amounts, 1)
        _add(self._leased_in_all.setdefault(run, {}), amounts, 1)
        _add(self._total, amounts, 1)
        for dimension, amount in amounts.items():
            limit = self._limits.get(dimension, MAX_INTEGER)
            if amount and self._total[dimension] > limit:
                raise Damage("the runs hold %d %s together, the limit is %d" % (self._total[dimension], dimension, limit))

    def give_back(self, run: str, amounts: Amounts) -> None:
        held = self._held.get(run, {})
        if any(amount > held.get(dimension, 0) for dimension, amount in amounts.items()):
            raise Damage("BUDGET_RETURN of more than was leased")
        _add(held, amounts, -1)
        _add(self._total, amounts, -1)

    def spend(self, run: str, amounts: Amounts) -> None:
        if run in self._settled:
            raise Damage("a second BUDGET_SPENT of one run")
        if len(self._settled) >= MAX_RUNS:
            raise Unreadable("more than %d runs" % MAX_RUNS)
        self._settled.add(run)
        _add(self._total, self._held.pop(run, {}), -1)
        _add(self._total, amounts, 1)

    def leased(self, run: str) -> Amounts:
        """All that a run ever leased."""
        return self._leased_in_all.get(run, {})


def _add(total: Amounts, amounts: Amounts, sign: int) -> None:
    for dimension, amount in amounts.items():
        total[dimension] = total.get(dimension, 0) + sign * amount
