"""BUDGET_ADJUST: an operator takes back only what an effect was charged without being known to have used it."""

from typing import Any, Dict, Tuple

from ._bounds import MAX_ADJUSTMENTS
from ._effects import share_of
from ._report import Damage

Record = Dict[str, Any]
Amounts = Dict[str, int]


class _Effect:
    __slots__ = ("lowered", "shared", "unproven", "accounts", "begun")

    def __init__(self) -> None:
        self.lowered: Amounts = {}
        self.shared: Amounts = {}
        self.unproven: Amounts = {}
        self.accounts: Tuple[str, ...] = ()
        self.begun = False


class Adjustments:
    """Those of one run: first told of by the installation log, then held against the run's own."""

    def __init__(self) -> None:
        self._effects: Dict[int, _Effect] = {}
        self.count = 0

    def add(self, record: Record) -> None:
        self.count += 1
        if self.count > MAX_ADJUSTMENTS:
            raise Damage("a run is adjusted more than %d times" % MAX_ADJUSTMENTS)
        effect = self._effects.setdefault(record["intent"], _Effect())
        _add(effect.lowered, record["lowered"])
        _add(effect.shared, record["shared"])

    def see(self, record: Record, recovered: bool) -> None:
        kind = record["type"]
        if kind == "INTENT":
            effect = self._effects.get(record["seq"])
            if effect is not None:
                effect.begun, effect.accounts = True, tuple(record["accounts"])
        elif kind in ("OUTCOME", "CLOSE"):
            effect = self._effects.get(record["intent"])
            unproven = recovered if kind == "CLOSE" else record["status"] == "unknown" or record.get("overrun") is True
            if effect is not None and effect.begun and unproven:
                _add(effect.unproven, record["captured"])

    def prove(self) -> None:
        for intent, effect in self._effects.items():
            if not effect.begun:
                raise Damage("BUDGET_ADJUST of effect %d, which the run's log does not have" % intent)
            for dimension, amount in effect.lowered.items():
                if amount > effect.unproven.get(dimension, 0):
                    raise Damage("BUDGET_ADJUST takes more %s of effect %d back than may be" % (dimension, intent))
            for key, amount in effect.shared.items():
                account, dimension = share_of(key)
                if amount > effect.lowered.get(dimension, 0) or (amount and account not in effect.accounts):
                    raise Damage("BUDGET_ADJUST takes more %s of what runs share back than effect %d was charged" % (key, intent))


def _add(total: Amounts, amounts: Amounts) -> None:
    for dimension, amount in amounts.items():
        total[dimension] = total.get(dimension, 0) + amount
