"""What a verdict rests on: the log's own word, a key, a checkpoint or a witness from elsewhere."""

from typing import List, Optional, Tuple

from ._anchors import Trust, signed_by_any
from ._installation import InstallationVisitor
from ._keys import KeyChain
from ._log import LogState
from ._notes import Checkpoint, Key
from ._report import Damage, Report

Known = Tuple[InstallationVisitor, LogState, KeyChain]


def judge_installation_trust(report: Report, state: LogState, keys: KeyChain, trust: Trust) -> None:
    _judge_pinned(report, [keys], trust.keys)
    anchors = _own_anchors(state, [keys], trust)
    _judge_remembered(report, state, anchors)
    _judge_witnessed(report, [*anchors, *_last_note(state)], state.size, trust.witnesses)
    _say_what_is_open(report, keys)


def judge_run_trust(report: Report, state: LogState, keys: KeyChain, trust: Trust, known: Optional[Known]) -> None:
    chains = [keys] if known is None else [keys, known[2]]
    _judge_pinned(report, chains, trust.keys)
    anchors = _own_anchors(state, chains, trust)
    _judge_remembered(report, state, anchors)
    _judge_witnessed(report, [*anchors, *_last_note(state)], state.size, trust.witnesses)
    if known is not None:
        visitor, installation, chain = known
        report.proved.append("the installation log agrees at every size it notes of this run")
        if visitor.sealed is not None:
            # A checkpoint of the installation log over RUN_SEALED stands for the whole run.
            over = visitor.sealed["seq"] + 1
            theirs = _own_anchors(installation, [chain], trust)
            if any(anchor.size >= over for anchor in theirs):
                report.reach("remembered")
            _judge_witnessed(report, [*theirs, *_last_note(installation)], over, trust.witnesses)
        if installation.last_note is None or installation.last_note.size != installation.size:
            report.not_excluded.append("the installation log's last records are not signed yet")
    else:
        report.not_excluded.append("the installation's log was not given: whether it knows this run, and with this end")
    _say_what_is_open(report, keys)


def _judge_pinned(report: Report, chains: List[KeyChain], pinned: List[Key]) -> None:
    for key in pinned:
        if not any(chain.holds(key) for chain in chains):
            raise Damage("the log is not signed by the key that was given, nor by one that follows it")
    if pinned:
        report.reach("pinned")


def _own_anchors(state: LogState, chains: List[KeyChain], trust: Trust) -> List[Checkpoint]:
    """Those of this log that its key signed; the walk has already compared them."""
    keys = [key for chain in chains for key in chain.keys]
    return [anchor for anchor in trust.anchors if anchor.origin == state.identity.origin and signed_by_any(anchor.note, keys)]


def _judge_remembered(report: Report, state: LogState, anchors: List[Checkpoint]) -> None:
    if not anchors:
        return
    report.reach("remembered")
    remembered = max(anchor.size for anchor in anchors)
    if remembered < state.size:
        report.not_excluded.append("the remembered checkpoint covers %d of %d records: that the later ones were written anew" % (remembered, state.size))


def _judge_witnessed(report: Report, checkpoints: List[Checkpoint], size: int, witnesses: List[Key]) -> None:
    covering = [checkpoint for checkpoint in checkpoints if checkpoint.size >= size]
    if witnesses and all(any(witness.signed(checkpoint.note) for checkpoint in covering) for witness in witnesses):
        report.reach("witnessed")


def _last_note(state: LogState) -> List[Checkpoint]:
    return [] if state.last_note is None else [state.last_note]


def _say_what_is_open(report: Report, keys: KeyChain) -> None:
    if report.basis in ("self-attested", "pinned"):
        report.not_excluded.append("that the key's owner wrote the whole log anew: nothing remembered elsewhere was compared")
    if report.basis == "self-attested":
        report.not_excluded.append("that key %s is not the one you expect: it came with the log" % keys.own.line)
