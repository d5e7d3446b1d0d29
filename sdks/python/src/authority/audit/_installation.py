"""What the records of the installation log must say, and what they say of one run."""

from typing import Any, Callable, Dict, List, Optional

from ._adjustments import Adjustments
from ._bounds import MAX_RUNS
from ._facts import Fact, Facts
from ._keys import KeyChain
from ._log import Identity
from ._notes import Checkpoint
from ._report import Damage, Unreadable
from ._schema import check_record
from ._shared_budget import SharedBudget

Record = Dict[str, Any]


class KnownRun:
    """One run, as the installation log has it."""

    __slots__ = ("size", "sealed", "removed")

    def __init__(self, size: int) -> None:
        self.size = size
        self.sealed = False
        self.removed = False


class InstallationVisitor:
    def __init__(self, identity: Identity, keys: KeyChain, facts: Facts, run: Optional[str]) -> None:
        self._identity, self._keys, self._facts, self._wanted = identity, keys, facts, run
        self.recovered = False
        self.rotations = 0
        self.budget = SharedBudget()
        self._runs: Dict[str, KnownRun] = {}
        # Of the run that was asked for:
        self.run_facts = Facts()
        self.opened: Optional[Record] = None
        self.sealed: Optional[Record] = None
        self.certificates_at_opening = 0
        self.leased: Dict[str, int] = {}
        self.adjustments = Adjustments()
        self._rules: Dict[str, Callable[[Record], None]] = {
            "INSTALLATION": self._first,
            "KEY_ROTATED": self._rotated,
            "RUN_OPENED": self._opened,
            "RUN_CHECKPOINT": self._noted,
            "RUN_SEALED": self._noted,
            "RUN_REMOVED": self._removed,
            "BUDGET_LIMITS": lambda r: self.budget.set_limits(r["limits"]),
            "BUDGET_LEASE": self._leased,
            "BUDGET_RETURN": lambda r: self.budget.give_back(r["run"], r["unused"]),
            "BUDGET_SPENT": lambda r: self.budget.spend(r["run"], r["spent"]),
            "BUDGET_ADJUST": self._adjusted,
            "RECOVERED": self._recovered,
        }

    @property
    def runs(self) -> int:
        return len(self._runs)

    def known(self, run: str) -> Optional[KnownRun]:
        return self._runs.get(run)

    def record(self, record: Record, frame_bytes: int) -> None:
        check_record(record, installation=True)
        if (record["type"] == "INSTALLATION") != (record["seq"] == 0):
            raise Damage("record %d: INSTALLATION is record 0 and only that" % record["seq"])
        try:
            self._rules[record["type"]](record)
        except Damage as damage:
            raise Damage("record %d: %s" % (record["seq"], damage)) from None

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        signers = [number for number, key in enumerate(self._keys.keys) if key.signed(checkpoint.note)]
        if self.rotations not in signers:
            raise Damage("the checkpoint of size %d is not signed by the key in force" % checkpoint.size)

    def state(self, size: int, root: bytes, chain: bytes) -> None:
        self._facts.confirm(size, root, chain)

    def finish(self) -> None:
        # One certificate more: a rotation that was interrupted.
        if self.rotations < len(self._keys.certificates) - 1:
            raise Damage("key.chain holds %d certificates, the log %d" % (len(self._keys.certificates), self.rotations))
        in_force = self._keys.keys[self.rotations]
        if self._keys.own.line not in (in_force.line, self._keys.keys[-1].line):
            raise Damage("key.pub is not the key in force")
        self._facts.all_confirmed()

    def _first(self, record: Record) -> None:
        if record["installation"] != self._identity.installation or record["key"] != self._keys.keys[0].line:
            raise Damage("INSTALLATION names another installation or key")

    def _rotated(self, record: Record) -> None:
        certificates: List[bytes] = self._keys.certificates
        if self.rotations >= len(certificates) or record["certificate"].encode("utf-8", "surrogatepass") != certificates[self.rotations]:
            raise Damage("KEY_ROTATED is not certificate %d of key.chain" % (self.rotations + 1))
        self.rotations += 1

    def _opened(self, record: Record) -> None:
        run = record["run"]
        if not self._concerns(run):
            return
        if run in self._runs:
            raise Damage("run %s is opened twice" % run)
        if len(self._runs) >= MAX_RUNS:
            raise Unreadable("more than %d runs" % MAX_RUNS)
        if record["origin"] != "authority/%s/run/%s" % (self._identity.installation, run):
            raise Damage("RUN_OPENED gives run %s another origin" % run)
        self._runs[run] = KnownRun(record["size"])
        if self._wanted is not None:
            self.opened, self.certificates_at_opening = record, self.rotations
            self._add_fact(record)

    def _noted(self, record: Record) -> None:
        if not self._concerns(record["run"]):
            return
        run = self._runs.get(record["run"])
        if run is None or run.sealed:
            raise Damage("%s of a run that is not open" % record["type"])
        if record["size"] < run.size:
            raise Damage("%s: a run's log never shrinks" % record["type"])
        run.size = record["size"]
        run.sealed = record["type"] == "RUN_SEALED"
        if self._wanted is not None:
            self._add_fact(record)
            if record["type"] == "RUN_SEALED":
                self.sealed = record

    def _add_fact(self, record: Record) -> None:
        source = "%s of the installation log" % record["type"]
        self.run_facts.add(record["size"], Fact(source, bytes.fromhex(record["root"]), bytes.fromhex(record["chain"])))

    def _removed(self, record: Record) -> None:
        run = self._runs.get(record["run"])
        if run is not None:
            run.removed = True

    def _concerns(self, run: str) -> bool:
        return self._wanted in (None, run)

    def _leased(self, record: Record) -> None:
        self.budget.lease(record["run"], record["lease"])
        if record["run"] == self._wanted:
            for dimension, amount in record["lease"].items():
                self.leased[dimension] = self.leased.get(dimension, 0) + amount

    def _adjusted(self, record: Record) -> None:
        self.budget.adjust(record["run"], record["shared"])
        if not self._concerns(record["run"]):
            return
        run = self._runs.get(record["run"])
        if run is None or not run.sealed:
            raise Damage("BUDGET_ADJUST of a run that is not sealed")
        if self._wanted is not None:
            self.adjustments.add(record)

    def _recovered(self, record: Record) -> None:
        self.recovered = True
