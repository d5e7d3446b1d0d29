"""Answers for kernel/audit/testing/both-verifiers.ts: a line of JSON with a log asks, a line with the verdict answers."""

import json
import sys

from authority.audit import verify

for line in sys.stdin:
    question = json.loads(line)
    report = verify(question["path"], installation=question["installation"], run=question["run"])
    print(json.dumps({"status": report.verdict, "exit": report.exit_code, "why": report.problems[:1]}), flush=True)
