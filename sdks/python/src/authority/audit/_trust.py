"""What a verdict rests on: the log's own word, a key, a checkpoint or a witness from elsewhere."""

from typing import List, Optional

from ._anchors import Trust
from ._keys import KeyChain
from ._log import Identity, LogState
from ._facts import Fact, Facts
from ._notes import Key
from ._report import Damage, Report


def anchor_facts(identity: Identity, signers: List[Key], trust: Trust) -> Facts:
    """What was remembered of this log, for the walk to compare. One of another log, or that another key signed, contradicts it."""
    facts = Facts()
    for anchor in trust.anchors:
        if not any([key.signed(anchor.note) for key in signers]):
            raise Damage("a remembered checkpoint is not signed by this log's key: the key is another, or the note was changed")
        if anchor.origin != identity.origin:
            raise Damage("a remembered checkpoint is of another log: %s" % anchor.origin)
        facts.add(anchor.size, Fact("the remembered checkpoint", anchor.root, None))
    return facts


def judge_trust(report: Report, state: LogState, chains: List[KeyChain], trust: Trust) -> None:
    """Once the walk has found all that was remembered."""
    for key in trust.keys:
        if not any(chain.holds(key) for chain in chains):
            raise Damage("the log is signed with another key than the one given, and none that follows it")
    if trust.keys:
        report.reach("pinned-key")
    if trust.anchors:
        report.reach("remembered-checkpoint")
        _say_what_is_newer(report, state, max(anchor.size for anchor in trust.anchors))
    if any(witness.signed(anchor.note) for witness in trust.witnesses for anchor in trust.anchors):
        report.reach("witnessed")
    if not trust.anchors:
        report.not_excluded.append("that the key's owner wrote the whole log anew: nothing remembered elsewhere was compared")
    if report.basis == "self-attested":
        report.not_excluded.append("that key %s is not the one you expect: it came with the log" % chains[0].own.line)


def _say_what_is_newer(report: Report, state: LogState, remembered: int) -> None:
    if remembered < state.size:
        report.not_excluded.append("that the records after %d of %d were written anew: the remembered checkpoint ends there" % (remembered, state.size))


def describe_installation(report: Report, state: Optional[LogState]) -> None:
    if state is None:
        report.not_excluded.append("the installation's log was not given: whether it knows this run, and with this end")
        return
    report.proved.append("the installation log (%d records) agrees at every size it notes of this run" % state.size)
    if state.last_note is None or state.last_note.size != state.size:
        report.not_excluded.append("the installation log's last records are not signed yet")
