"""`python -m authority.audit verify PATH`: exit codes as those of `authority audit verify`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys

from . import LEVELS, Verdict, _vectors, verify

def _text(path: str) -> str:
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def _print(verdict: Verdict, as_json: bool) -> None:
    if as_json:
        print(json.dumps(dataclasses.asdict(verdict)))
        return
    print(f"{verdict.status}: {verdict.finding or 'intact and sealed'}".encode("unicode_escape").decode())
    if verdict.status in ("tampered", "unreadable"):
        return
    print(f"run {verdict.run}: {verdict.records} records, {verdict.effects} effects, {verdict.denials} denials")
    print(f"trust basis: {verdict.trust}")
    for sentence in verdict.not_excluded:
        print(f"  not excluded: {sentence}")


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m authority.audit")
    verbs = parser.add_subparsers(required=True)
    each = verbs.add_parser("verify", help="prove that a log is whole and unchanged")
    each.add_argument("path", help="the folder of the log")
    each.add_argument("--installation", help="folder of the installation log to compare with")
    each.add_argument("--key", help="line of key.pub it must be signed with, or a file that holds it")
    each.add_argument("--anchor", action="append", default=[], metavar="FILE", help="a checkpoint you kept")
    each.add_argument("--run", help="the run it must be of")
    each.add_argument("--require", choices=LEVELS, default=LEVELS[0], help="least trust basis")
    each.add_argument("--json", action="store_true")
    vectors = verbs.add_parser("vectors", help="run the test vectors of the format")
    vectors.add_argument("file", help="fixtures/vectors/audit/logs.json")
    args = parser.parse_args()
    if "file" in args:
        return _vectors.run(args.file)
    key = _text(args.key).strip() if args.key and os.path.exists(args.key) else args.key
    anchors = tuple(_text(path) for path in args.anchor)
    verdict = verify(args.path, installation=args.installation, key=key, anchors=anchors, run=args.run, require=args.require)
    _print(verdict, args.json)
    return verdict.exit_code


def _guarded() -> int:
    try:
        return _main()
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 4


if __name__ == "__main__":
    sys.exit(_guarded())
