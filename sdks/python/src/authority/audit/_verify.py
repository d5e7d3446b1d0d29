"""One verification from beginning to end: the installation's log first, then the run's, then what both rest on."""

import os
import re
from dataclasses import dataclass
from typing import Iterable, List, Optional

from ._adjustments import Adjustments
from ._anchors import Trust, read_trust
from ._bounds import COMMITMENT_KEY_BYTES
from ._checkpoints import Checkpoints
from ._facts import Facts
from ._files import Folder
from ._installation import InstallationVisitor
from ._keys import KeyChain, read_keys
from ._log import Identity, LogState, LogWalk, is_folder, open_log, read_identity
from ._report import DAMAGED, INTACT, LEVELS, RECOVERED, UNREADABLE, UNSEALED, Damage, Report, Unreadable
from ._run import RunVisitor
from ._trust import anchor_facts, describe_installation, judge_trust

_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass
class Installation:
    """The installation's log, proved."""

    visitor: InstallationVisitor
    state: LogState
    keys: KeyChain


def verify(
    path: str,
    installation: Optional[str] = None,
    anchors: Iterable[str] = (),
    keys: Iterable[str] = (),
    witnesses: Iterable[str] = (),
    require: str = LEVELS[0],
    run: Optional[str] = None,
) -> Report:
    """Verifies the log in folder path; installation is the folder of the installation's log, run the run it must be of."""
    report = Report(path, required=require)
    try:
        _verify(report, path, installation, read_trust(keys, anchors, witnesses), run)
    except Damage as damage:
        _conclude(report, DAMAGED, str(damage))
    except Unreadable as error:
        _conclude(report, UNREADABLE, str(error))
    except OSError as error:
        _conclude(report, UNREADABLE, "%s: %s" % (error.filename or path, error.strerror or type(error).__name__))
    if report.verdict in (INTACT, RECOVERED, UNSEALED) and not report.trusted:
        report.problems.append("the trust that is required was not reached")
    return report


def _conclude(report: Report, verdict: str, problem: str) -> None:
    """Of a log that is not what it says, nothing is proved."""
    report.verdict, report.problems, report.basis = verdict, [problem], LEVELS[0]
    report.proved.clear()
    report.not_excluded.clear()


def _verify(report: Report, path: str, installation: Optional[str], trust: Trust, run: Optional[str]) -> None:
    if not is_folder(path):
        _must_be_unknown_or_removed(run or _run_named_by(path), installation)
    folder = open_log(path)
    keys = read_keys(folder)
    if folder.segments() == 0:
        _must_be_unknown_or_removed(run or _run_named_by(path), installation)
    _must_hold_segments(folder)
    identity = read_identity(folder)
    if run is not None and run != identity.run:
        raise Damage("this is the log of %s, not of run %s" % (identity.origin, run))
    if identity.run is None:
        _verify_installation_alone(report, folder, keys, trust)
    else:
        _verify_run(report, folder, identity, keys, installation, trust)


def _must_be_unknown_or_removed(run: Optional[str], installation: Optional[str]) -> None:
    """The log of a run that the installation knows and does not say was removed cannot just be gone."""
    if run is None or installation is None:
        return
    folder = open_log(installation)
    known = _prove_installation(folder, read_keys(folder), run, Facts()).visitor.known(run)
    if known is not None and not known.removed:
        raise Damage("the installation log knows run %s with %d records; its log is gone" % (run, known.size))


def _must_hold_segments(folder: Folder) -> None:
    if folder.segments() == 0:
        if Checkpoints(folder).count:
            raise Damage("checkpoints has signed records, and no segment is left")
        raise Unreadable("%s: no log here (no seg-00000000.log)" % folder.path)


def _run_named_by(path: str) -> Optional[str]:
    names = reversed(os.path.abspath(path).split(os.sep))
    return next((name for name in names if _RUN_ID.fullmatch(name)), None)


def _prove_installation(folder: Folder, keys: KeyChain, run: Optional[str], facts: Facts) -> Installation:
    _must_hold_segments(folder)
    identity = read_identity(folder)
    if identity.run is not None:
        raise Damage("%s: the log of a run stands where that of an installation belongs" % folder.path)
    _same_installation(identity, keys)
    visitor = InstallationVisitor(identity, keys, facts, run)
    state = LogWalk(folder, identity, Checkpoints(folder), facts.by_size).run(visitor)
    visitor.finish()
    return Installation(visitor, state, keys)


def _same_installation(identity: Identity, keys: KeyChain) -> None:
    if keys.installation != identity.installation:
        raise Damage("key.pub is of installation %s, the log of %s" % (keys.installation, identity.installation))


def _verify_installation_alone(report: Report, folder: Folder, keys: KeyChain, trust: Trust) -> None:
    proved = _prove_installation(folder, keys, None, anchor_facts(read_identity(folder), keys.keys, trust))
    _describe(report, "installation", proved.state, folder)
    report.verdict = UNSEALED if report.problems else RECOVERED if proved.visitor.recovered else INTACT
    runs = proved.visitor.runs
    report.proved.append("%d runs: what is noted of each grows and ends when it is sealed; the shared budget held after every lease" % runs)
    judge_trust(report, proved.state, [keys], trust)


def _verify_run(report: Report, folder: Folder, identity: Identity, keys: KeyChain, installation: Optional[str], trust: Trust) -> None:
    _same_installation(identity, keys)
    if keys.own.line != keys.keys[-1].line:
        raise Damage("key.pub is not the last key of key.chain")
    facts = anchor_facts(identity, [keys.own], trust)
    known = None
    if installation is not None:
        # Before the run's log, so that a run that goes on meanwhile has all that is noted of it.
        theirs = open_log(installation)
        known = _prove_installation(theirs, read_keys(theirs), identity.run, Facts())
        _run_belongs(identity, keys, known)
        facts.add_all(known.visitor.run_facts)
    commitment_key = folder.read_small("commitments.key", COMMITMENT_KEY_BYTES)
    adjustments = Adjustments() if known is None else known.visitor.adjustments
    visitor = RunVisitor(identity, keys, commitment_key, facts, adjustments)
    state = LogWalk(folder, identity, Checkpoints(folder), facts.by_size).run(visitor)
    visitor.finish()
    _describe(report, "run", state, folder)
    if visitor.end is None:
        report.problems.append("the last record is not RUN_END")
    if state.zeros or not state.frames_in_last_segment:
        report.problems.append("the last segment does not end with its last frame")
    if known is not None:
        report.problems += _not_sealed_by(known.visitor, state, visitor, not report.problems)
    report.verdict = UNSEALED if report.problems else RECOVERED if visitor.recovered else INTACT
    report.proved.append("%d effects: each paired with its outcome, and captured + reserved never passed a limit" % visitor.effects.intents)
    if adjustments.count:
        report.proved.append("%d adjustments: each takes back only what was charged without being known to be used" % adjustments.count)
    if commitment_key is None:
        report.not_excluded.append("commitments.key was erased: what values the commitments stand for")
    describe_installation(report, None if known is None else known.state)
    judge_trust(report, state, [keys] if known is None else [keys, known.keys], trust)


def _run_belongs(identity: Identity, keys: KeyChain, known: Installation) -> None:
    if known.state.identity.installation != identity.installation:
        raise Damage("the run is of installation %s, the log given of %s" % (identity.installation, known.state.identity.installation))
    if keys.certificates != known.keys.certificates[: len(keys.certificates)] or keys.keys[0].line != known.keys.keys[0].line:
        raise Damage("key.chain is not the beginning of the installation's")
    opened = known.visitor.opened
    if opened is not None and known.visitor.certificates_at_opening != len(keys.certificates):
        raise Damage("the run's key was not in force when it was opened")


def _not_sealed_by(installation: InstallationVisitor, state: LogState, run: RunVisitor, complete: bool) -> List[str]:
    sealed = installation.sealed
    if installation.opened is None and complete:
        raise Damage("the installation log does not know this run")
    if sealed is None:
        return ["the installation log does not say that the run was sealed"]
    if sealed["size"] != state.size:
        raise Damage("the installation log says the run was sealed with %d records, there are %d" % (sealed["size"], state.size))
    if any(amount > installation.leased.get(dimension, 0) for dimension, amount in run.leased.items()):
        raise Damage("the run used more of the shared budget than the installation leased to it")
    return []


def _describe(report: Report, kind: str, state: LogState, folder: Folder) -> None:
    """What was proved, and why a log without damage is not whole yet."""
    checkpoints = Checkpoints(folder)
    report.kind, report.origin, report.records, report.root = kind, state.identity.origin, state.size, state.root.hex()
    report.checkpoints = checkpoints.count
    report.proved.append("%d records: frames, chain, segments and tree agree" % state.size)
    report.proved.append("%d checkpoints: signed by the log's key, over the roots of these records" % checkpoints.count)
    if state.last_note is None or state.last_note.size != state.size:
        report.problems.append("the last checkpoint has not signed all records")
    if state.torn_bytes:
        report.problems.append("%d bytes of an unfinished flush stand behind the last record" % state.torn_bytes)
    if checkpoints.torn_bytes:
        report.problems.append("checkpoints does not end with its last note")
