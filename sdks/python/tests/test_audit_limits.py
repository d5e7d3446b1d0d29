"""A limit a run is given while it goes (FORMAT.md, rule 2): counted from the start, also before there was one."""

import pytest

from authority.audit._effects import Rules
from authority.audit._notes import Tampered


def fed(*records):
    rules = Rules()
    start = {"type": "RUN_START", "limits": [], "detail": {}}
    for seq, record in enumerate((start, *records)):
        rules.add({"seq": seq, "boot_ms": 0, **record}, None)


SPENT = (
    {"type": "INTENT", "accounts": ["run"], "reserve": {"tokens": 7}},
    {"type": "OUTCOME", "intent": 1, "status": "ok", "captured": {"tokens": 7}},
)


def limit(tokens):
    return {"type": "LIMIT", "account": "run", "limits": {"tokens": tokens}}


def test_a_later_limit_counts_what_was_spent_before_it():
    more = {"type": "INTENT", "accounts": ["run"], "reserve": {"tokens": 1}}
    fed(*SPENT, limit(8), more)
    with pytest.raises(Tampered, match="gets a limit of 6 and has 7 already"):
        fed(*SPENT, limit(6))
    with pytest.raises(Tampered, match="reaches 8 of 7"):
        fed(*SPENT, limit(7), more)
