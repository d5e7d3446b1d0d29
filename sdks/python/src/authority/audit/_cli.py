"""python -m authority.audit verify PATH …"""

import argparse
import json
import sys
from typing import Any, List, NoReturn

from ._report import EXIT_CODES, LEVELS, UNREADABLE, Report
from ._verify import verify

_EXIT_USAGE = 64


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # Not 2: that says "recovered".
        self.exit(_EXIT_USAGE, "%s\nerror: %s\n" % (self.format_usage().strip(), message))


def main(argv: List[str]) -> int:
    arguments = _parse(argv)
    try:
        report = verify(
            arguments.path,
            installation=arguments.installation,
            anchors=arguments.anchor,
            keys=arguments.key,
            witnesses=arguments.witness,
            require=arguments.require,
            run=arguments.run,
        )
    except (MemoryError, RecursionError, ValueError) as error:
        print("cannot be read: %s" % type(error).__name__, file=sys.stderr)
        return EXIT_CODES[UNREADABLE]
    if arguments.json:
        print(json.dumps(report.to_json(), ensure_ascii=True))
    else:
        _print(report)
    return report.exit_code


def _parse(argv: List[str]) -> Any:
    parser = _Parser(prog="python -m authority.audit", description="Verifies an audit log of Authority without trusting who made it.")
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser)
    command = verbs.add_parser("verify", help="verify the log in a folder")
    command.add_argument("path", metavar="PATH", help="the folder of a run's log, or of the installation's")
    command.add_argument("--installation", metavar="DIR", help="the folder of the installation's log")
    command.add_argument("--run", metavar="RUN", help="the run it must be of")
    command.add_argument("--anchor", metavar="FILE", action="append", default=[], help="a checkpoint remembered elsewhere")
    command.add_argument("--key", metavar="KEY", action="append", default=[], help="the installation's key from elsewhere: a line of key.pub, or a file with it")
    command.add_argument("--witness", metavar="KEY", action="append", default=[], help="a witness whose cosignature is asked for: a key line, or a file with it")
    command.add_argument("--require", metavar="LEVEL", choices=LEVELS, default=LEVELS[0], help=" · ".join(LEVELS))
    command.add_argument("--json", action="store_true", help="one JSON object")
    return parser.parse_args(argv)


def _print(report: Report) -> None:
    print(_printable("%s: %s" % (report.path, report.verdict)))
    if report.origin:
        print("log: %s, %d records" % (report.origin, report.records))
    for title, lines in (("problem", report.problems), ("proved", report.proved), ("not excluded", report.not_excluded)):
        for line in lines:
            print(_printable("%s: %s" % (title, line)))
    print("trust: %s" % report.basis)


def _printable(text: str) -> str:
    """Names in a log are hostile: nothing of them may steer a terminal."""
    return "".join(character if character.isprintable() else "\\x%02x" % ord(character) for character in text)
