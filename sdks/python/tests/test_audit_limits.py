"""A limit a run is given while it goes (FORMAT.md, rule 2): counted from the start, also before there was one."""

import pytest
from authority.audit._effects import Effects
from authority.audit._report import Damage


def spent_seven():
    effects = Effects()
    effects.intent(1, ["run", "block:1"], {"tokens": 7})
    effects.outcome(1, "ok", {"tokens": 7}, None, False)
    return effects


def test_a_later_limit_counts_what_was_spent_before_it():
    effects = spent_seven()
    effects.limit("run", {"tokens": 8})
    effects.intent(3, ["run"], {"tokens": 1})
    with pytest.raises(Damage, match="captured \\+ reserved is 7 tokens, the limit is 6"):
        spent_seven().limit("run", {"tokens": 6})
    effects = spent_seven()
    effects.limit("run", {"tokens": 7})
    with pytest.raises(Damage, match="captured \\+ reserved is 8 tokens, the limit is 7"):
        effects.intent(3, ["run"], {"tokens": 1})


def test_an_account_that_was_named_without_a_limit_gets_none():
    with pytest.raises(Damage, match="block:1 was named before it had a limit"):
        spent_seven().limit("block:1", {"tokens": 100})
    spent_seven().limit("block:2", {"tokens": 100})
