"""One verification from beginning to end: the installation's log first, then the run's, then what both rest on."""

import os
import re
from typing import Any, Iterable, Optional, Tuple

from ._anchors import Trust, read_trust, signed_by_any
from ._bounds import COMMITMENT_KEY_BYTES
from ._checkpoints import Checkpoints
from ._facts import Fact, Facts
from ._files import Folder
from ._installation import InstallationVisitor
from ._keys import KeyChain, read_keys
from ._log import Identity, LogState, LogWalk, open_log, read_identity
from ._report import DAMAGED, INTACT, LEVELS, RECOVERED, UNREADABLE, UNSEALED, Damage, Report, Unreadable
from ._run import RunVisitor
from ._trust import judge_installation_trust, judge_run_trust

_RUN_ID = re.compile(r"[0-9a-f]{32}")


def verify(
    path: str,
    installation: Optional[str] = None,
    anchors: Iterable[str] = (),
    keys: Iterable[str] = (),
    witnesses: Iterable[str] = (),
    require: str = LEVELS[0],
) -> Report:
    """Verifies the log in folder path; installation is the folder of the installation's log, when it is at hand."""
    report = Report(path, required=require)
    anchors, keys, witnesses = list(anchors), list(keys), list(witnesses)
    # Whoever brings something to compare with asks for what it can show.
    asked = [level for level, given in zip(LEVELS[1:], (keys, anchors, witnesses)) if given]
    report.required = max([require, *asked], key=LEVELS.index)
    try:
        trust = read_trust(keys, anchors, witnesses)
        _verify(report, path, installation, trust)
    except Damage as damage:
        report.verdict = DAMAGED
        report.problems.append(str(damage))
    except Unreadable as error:
        report.verdict = UNREADABLE
        report.problems.append(str(error))
    except OSError as error:
        report.verdict = UNREADABLE
        report.problems.append("%s: %s" % (error.filename or path, error.strerror or type(error).__name__))
    if report.verdict not in (INTACT, RECOVERED, UNSEALED):
        report.basis = LEVELS[0]
        report.proved.clear()
        report.not_excluded.clear()
    elif not report.trusted:
        report.problems.append("the trust asked for was not reached")
    return report


def _verify(report: Report, path: str, installation: Optional[str], trust: Trust) -> None:
    try:
        folder = open_log(path)
        identity = read_identity(folder)
    except Unreadable:
        if installation is not None:
            _must_be_unknown_or_removed(path, installation, trust)
        raise
    if identity.run is None:
        _verify_installation_alone(report, folder, identity, trust)
    else:
        _verify_run(report, folder, identity, installation, trust)


def _must_be_unknown_or_removed(path: str, installation: str, trust: Trust) -> None:
    """The log of a run that the installation knows and does not say was removed cannot just be gone."""
    for name in reversed(os.path.abspath(path).split(os.sep)):
        if _RUN_ID.fullmatch(name):
            visitor = walk_installation(installation, name, trust)[0]
            known = visitor.known(name)
            if known is not None and not known.removed:
                raise Damage("the installation log knows run %s with %d records; its log is gone" % (name, known.size))
            return


def walk_installation(path: str, run: Optional[str], trust: Trust) -> Tuple[InstallationVisitor, LogState, KeyChain]:
    folder = open_log(path)
    identity = read_identity(folder)
    if identity.run is not None:
        raise Unreadable("%s: the log of a run, not of an installation" % path)
    keys = read_keys(folder)
    _same_installation(identity, keys)
    facts = _anchor_facts(identity, keys, trust)
    visitor = InstallationVisitor(identity, keys, facts, run)
    state = LogWalk(folder, identity, Checkpoints(folder), facts.by_size).run(visitor)
    visitor.finish()
    return visitor, state, keys


def _same_installation(identity: Identity, keys: KeyChain) -> None:
    if keys.installation != identity.installation:
        raise Damage("key.pub is of installation %s, the log of %s" % (keys.installation, identity.installation))


def _anchor_facts(identity: Identity, keys: KeyChain, trust: Trust) -> Facts:
    facts = Facts()
    for anchor in trust.anchors:
        if anchor.origin == identity.origin and signed_by_any(anchor.note, keys.keys):
            facts.add(anchor.size, Fact("the remembered checkpoint", anchor.root, None))
    return facts


def _verify_installation_alone(report: Report, folder: Folder, identity: Identity, trust: Trust) -> None:
    visitor, state, keys = walk_installation(folder.path, None, trust)
    _describe(report, "installation", state, Checkpoints(folder).count)
    report.problems += _unfinished(state, folder)
    report.verdict = UNSEALED if report.problems else RECOVERED if visitor.recovered else INTACT
    report.proved.append("%d runs: what is noted of each grows and ends when it is sealed; the shared budget held after every lease" % visitor.runs)
    judge_installation_trust(report, state, keys, trust)


def _verify_run(report: Report, folder: Folder, identity: Identity, installation: Optional[str], trust: Trust) -> None:
    keys = read_keys(folder)
    _same_installation(identity, keys)
    if keys.own.line != keys.keys[-1].line:
        raise Damage("key.pub is not the last key of key.chain")
    facts = _anchor_facts(identity, keys, trust)
    known: Optional[Tuple[InstallationVisitor, LogState, KeyChain]] = None
    if installation is not None:
        # Before the run's log, so that a run that goes on meanwhile has all that is noted of it.
        known = walk_installation(installation, identity.run, trust)
        _run_belongs(identity, keys, known)
        for size, noted in known[0].run_facts.by_size.items():
            for fact in noted:
                facts.add(size, fact)
    commitment_key = folder.read_small("commitments.key", COMMITMENT_KEY_BYTES)
    visitor = RunVisitor(identity, keys, commitment_key, facts)
    checkpoints = Checkpoints(folder)
    state = LogWalk(folder, identity, checkpoints, facts.by_size).run(visitor)
    visitor.finish()
    _describe(report, "run", state, checkpoints.count)
    if visitor.end is None:
        report.problems.append("the last record is not RUN_END")
    report.problems += _unfinished(state, folder)
    if state.zeros or not state.frames_in_last_segment:
        report.problems.append("the last segment does not end with its last frame")
    if known is not None:
        report.problems += _not_sealed_by(known[0], identity, state, visitor)
    report.verdict = UNSEALED if report.problems else RECOVERED if visitor.recovered else INTACT
    report.proved.append("%d effects: each paired with its outcome, and captured + reserved never passed a limit" % visitor.effects.intents)
    if commitment_key is None:
        report.not_excluded.append("commitments.key was erased: what values the commitments stand for")
    judge_run_trust(report, state, keys, trust, known)


def _run_belongs(identity: Identity, keys: KeyChain, known: Tuple[InstallationVisitor, LogState, KeyChain]) -> None:
    visitor, state, chain = known
    if state.identity.installation != identity.installation:
        raise Damage("the run is of installation %s, the log given of %s" % (identity.installation, state.identity.installation))
    if keys.certificates != chain.certificates[: len(keys.certificates)] or keys.keys[0].line != chain.keys[0].line:
        raise Damage("key.chain is not the beginning of the installation's")
    if visitor.opened is not None and visitor.certificates_at_opening != len(keys.certificates):
        raise Damage("the run's key was not in force when it was opened")


def _not_sealed_by(visitor: InstallationVisitor, identity: Identity, state: LogState, run: RunVisitor) -> Any:
    if visitor.sealed is None:
        return ["the installation log %s" % ("does not say that the run was sealed" if visitor.opened else "does not know this run")]
    if visitor.sealed["size"] != state.size:
        raise Damage("the installation log says the run was sealed with %d records, it has %d" % (visitor.sealed["size"], state.size))
    if run.end is not None and run.end["ended_by"] != visitor.sealed["ended_by"]:
        raise Damage("RUN_SEALED and RUN_END disagree on how the run ended")
    leased = visitor.budget.leased(identity.run or "")
    if any(amount > leased.get(dimension, 0) for dimension, amount in run.leased.items()):
        raise Damage("the run used more leases of the shared budget than the installation gave")
    return []


def _unfinished(state: LogState, folder: Folder) -> Any:
    """Why a log without damage is not whole yet."""
    found = []
    if state.last_note is None or state.last_note.size != state.size:
        found.append("the last checkpoint has not signed all records")
    if state.torn_bytes:
        found.append("%d bytes of an unfinished flush stand behind the last record" % state.torn_bytes)
    if Checkpoints(folder).torn_bytes:
        found.append("checkpoints does not end with its last note")
    return found


def _describe(report: Report, kind: str, state: LogState, checkpoints: int) -> None:
    report.kind, report.origin, report.records, report.root = kind, state.identity.origin, state.size, state.root.hex()
    report.checkpoints = checkpoints
    report.proved.append("%d records: frames, chain, segments and tree agree" % state.size)
    report.proved.append("%d checkpoints: signed by the log's key, over the roots of these records" % checkpoints)
