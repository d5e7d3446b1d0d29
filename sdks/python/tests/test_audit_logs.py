"""Every log of fixtures/vectors/audit/logs.json, good and bad: this verifier says of it what stands there, as the other one does."""

import pytest
from audit_vectors import apply_edit, ask, lay_out, unpack
from support import fixture

VECTORS = fixture("vectors/audit/logs.json")
LOGS = {name: {file: unpack(text) for file, text in files.items()} for name, files in VECTORS["logs"].items()}


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in VECTORS["cases"]])
def test_verdict(case, tmp_path):
    files = dict(LOGS[case["log"]])
    for edit in case["edits"]:
        apply_edit(files, edit, LOGS)
    lay_out(tmp_path, files)
    report = ask(tmp_path, case)
    assert (report.verdict, report.exit_code) == (case["status"], case["exit"]), report.problems


def test_every_verdict_there_is_has_a_log():
    assert {(case["status"], case["exit"]) for case in VECTORS["cases"]} >= {
        ("intact", 0),
        ("tampered", 1),
        ("recovered", 2),
        ("unsealed", 3),
        ("unreadable", 4),
    }
