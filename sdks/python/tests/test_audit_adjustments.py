"""What no small log shows of BUDGET_ADJUST (FORMAT.md): how many there may be, and of which runs."""

import pytest
from authority.audit._adjustments import Adjustments
from authority.audit._bounds import MAX_ADJUSTABLE_RUNS, MAX_ADJUSTMENTS
from authority.audit._report import Damage
from authority.audit._shared_budget import SharedBudget


def test_a_run_is_adjusted_a_bounded_number_of_times():
    adjustments = Adjustments()
    for intent in range(MAX_ADJUSTMENTS):
        adjustments.add({"intent": intent, "lowered": {}, "shared": {}})
    with pytest.raises(Damage, match="more than 4096 times"):
        adjustments.add({"intent": 0, "lowered": {}, "shared": {}})


def test_of_the_shared_budget_only_what_one_of_the_last_runs_spent_is_taken_back():
    budget = SharedBudget()
    for number in range(MAX_ADJUSTABLE_RUNS + 1):
        budget.lease("run %d" % number, {"calls": 1})
        budget.spend("run %d" % number, {"calls": 1})
    with pytest.raises(Damage, match="more than the run spent"):
        budget.adjust("run 0", {"calls": 1})
    budget.adjust("run 1", {"calls": 1})
    with pytest.raises(Damage, match="more than the run spent"):
        budget.adjust("run 1", {"calls": 1})
