"""The shared budget: after every lease, what all runs hold or have spent is at most the limit."""

from typing import Dict

from ._bounds import MAX_ADJUSTABLE_RUNS, MAX_INTEGER, MAX_LEASING_RUNS
from ._report import Damage

Amounts = Dict[str, int]


class SharedBudget:
    def __init__(self) -> None:
        self._limits: Amounts = {}
        self._total: Amounts = {}
        self._held: Dict[str, Amounts] = {}  # of runs that have not said what they spent
        self._spent: Dict[str, Amounts] = {}  # of those that said so last, the oldest first

    def set_limits(self, limits: Amounts) -> None:
        self._limits = dict(limits)

    def lease(self, run: str, amounts: Amounts) -> None:
        if run not in self._held and len(self._held) >= MAX_LEASING_RUNS:
            raise Damage("more than %d runs hold a lease" % MAX_LEASING_RUNS)
        _add(self._held.setdefault(run, {}), amounts, 1)
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
        held = self._held.pop(run, None)
        if held is None and any(amounts.values()):
            raise Damage("BUDGET_SPENT of a run that holds no lease")
        _add(self._total, held or {}, -1)
        _add(self._total, amounts, 1)
        if held is not None:
            self._spent[run] = dict(amounts)
            if len(self._spent) > MAX_ADJUSTABLE_RUNS:
                del self._spent[next(iter(self._spent))]

    def adjust(self, run: str, amounts: Amounts) -> None:
        spent = self._spent.get(run, {})
        if any(amount > spent.get(dimension, 0) for dimension, amount in amounts.items()):
            raise Damage("BUDGET_ADJUST of more than the run spent")
        _add(spent, amounts, -1)
        _add(self._total, amounts, -1)


def _add(total: Amounts, amounts: Amounts, sign: int) -> None:
    for dimension, amount in amounts.items():
        total[dimension] = total.get(dimension, 0) + sign * amount
