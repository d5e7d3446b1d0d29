"""What the records of one run must say: the rules FORMAT.md lists under "Rules a verifier re-proves"."""

from hashlib import sha256
from typing import Any, Callable, Dict, List, Optional

from ._adjustments import Adjustments
from ._bounds import COMMITMENT_KEY_BYTES
from ._effects import Effects
from ._facts import Facts
from ._keys import KeyChain
from ._log import Identity
from ._notes import Checkpoint
from ._report import Damage
from ._schema import check_record

Record = Dict[str, Any]


class RunVisitor:
    def __init__(
        self, identity: Identity, keys: KeyChain, commitment_key: Optional[bytes], facts: Facts, adjustments: Adjustments
    ) -> None:
        self._identity, self._keys, self._commitment_key, self._facts = identity, keys, commitment_key, facts
        self._adjustments = adjustments
        self.effects = Effects()
        self.end: Optional[Record] = None
        self.recovered = False
        self.leased: Dict[str, int] = {}
        self._boot_ms: float = 0
        self._log_bytes_limit: Optional[int] = None
        self._log_bytes = 0
        self._passed: Optional[Checkpoint] = None
        self._rules: Dict[str, Callable[[Record], None]] = {
            "RUN_START": self._start,
            "INTENT": lambda r: self.effects.intent(r["seq"], r["accounts"], r["reserve"]),
            "LEASE": lambda r: self.effects.lease(r["intent"], r["reserve"]),
            "OUTCOME": lambda r: self.effects.outcome(r["intent"], r["status"], r["captured"], r.get("leased"), r.get("overrun", False)),
            "CLOSE": lambda r: self.effects.close(r["intent"], r["captured"]),
            "TIME": lambda r: self.effects.time(r["captured"]),
            "LIMIT": lambda r: self.effects.limit(r["account"], r["limits"]),
            "LEASED": self._leased,
            "DENY_REPEAT": self._repeat,
            "CHECKPOINT": self._checkpoint_record,
            "RECOVERED": self._recovered,
            "RUN_END": self._end,
        }

    def record(self, record: Record, frame_bytes: int) -> None:
        sequence = record["seq"]
        check_record(record, installation=False)
        kind = record["type"]
        if (kind == "RUN_START") != (sequence == 0):
            raise Damage("record %d: RUN_START is record 0 and only that" % sequence)
        if self.end is not None:
            raise Damage("record %d stands after RUN_END" % sequence)
        self._log_bytes += frame_bytes
        rule = self._rules.get(kind)
        if rule is not None:
            try:
                rule(record)
            except Damage as damage:
                raise Damage("record %d: %s" % (sequence, damage)) from None
        self._adjustments.see(record, self.recovered)
        if not self.recovered:
            if record["boot_ms"] < self._boot_ms:
                raise Damage("record %d: boot_ms goes back" % sequence)
            self._boot_ms = record["boot_ms"]

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        if not self._keys.own.signed(checkpoint.note):
            raise Damage("the checkpoint of size %d is not signed by this log's key" % checkpoint.size)
        self._passed = checkpoint

    def state(self, size: int, root: bytes, chain: bytes) -> None:
        self._facts.confirm(size, root, chain)

    def finish(self) -> None:
        if self._log_bytes_limit is not None and not self.recovered and self._log_bytes > self._log_bytes_limit:
            raise Damage("the frames take %d bytes, log_bytes allows %d" % (self._log_bytes, self._log_bytes_limit))
        self._facts.all_confirmed()
        self._adjustments.prove()

    def _start(self, record: Record) -> None:
        detail = record["detail"]
        if record["run"] != self._identity.run or record["installation"] != self._identity.installation:
            raise Damage("RUN_START is of another run")
        if detail.get("key") != self._keys.own.line:
            raise Damage("RUN_START names another key than key.pub")
        committed = detail.get("commitment_key")
        key = self._commitment_key
        if key is not None and (len(key) != COMMITMENT_KEY_BYTES or sha256(key).hexdigest() != committed):
            raise Damage("commitments.key is not the one RUN_START names")
        self.effects.start(record["limits"], detail.get("cpus"))
        limits: List[int] = [row["limit"] for row in record["limits"] if row["account"] == "run" and row["dimension"] == "log_bytes"]
        self._log_bytes_limit = min(limits) if limits else None

    def _leased(self, record: Record) -> None:
        self.leased = record["leased"]
        self.effects.leased(record["leased"])

    @staticmethod
    def _repeat(record: Record) -> None:
        if record["first"] >= record["seq"]:
            raise Damage("DENY_REPEAT names a denial that is not before it")

    def _checkpoint_record(self, record: Record) -> None:
        passed = self._passed
        if passed is None or (record["size"], record["root"]) != (passed.size, passed.root.hex()):
            raise Damage("CHECKPOINT does not name the last note before it")

    def _recovered(self, record: Record) -> None:
        self.recovered = True

    def _end(self, record: Record) -> None:
        if self.effects.open_effects():
            raise Damage("RUN_END while %d effects are open" % self.effects.open_effects())
        self.end = record
