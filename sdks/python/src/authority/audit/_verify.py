"""Judges the log of a run as `authority audit verify` does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ._effects import Rules
from ._log import Log, Record, read_file, sha256
from ._notes import Head, Key, Tampered, Unreadable, installation_of, read_certificate, read_checkpoint, read_key, split_notes
from ._records import INSTALLATION_SHAPES, RUN_SHAPES, read_record
from ._shared_budget import SharedBudget

MAX_KEY = 1024
MAX_CHAIN = 64 * 1024
EXIT = {"intact": 0, "tampered": 1, "recovered": 2, "unsealed": 3, "unreadable": 4}
#: On what the answer rests, weakest first.
LEVELS = ("self-attested", "pinned-key", "remembered-checkpoint")


@dataclass
class Verdict:
    status: str
    exit_code: int
    trust: str
    finding: str | None
    run: str | None = None
    records: int = 0
    effects: int = 0
    denials: int = 0
    root: str | None = None
    not_excluded: list[str] = field(default_factory=list)


def verify(
    path: str,
    *,
    installation: str | None = None,
    key: str | None = None,
    anchors: tuple[str, ...] = (),
    run: str | None = None,
    require: str = "self-attested",
) -> Verdict:
    """Never raises for what is in the files. `anchors` are remembered checkpoints, each the text of a signed note; `key` a line of key.pub."""
    inquiry = Inquiry(path, installation, key, anchors, run)
    try:
        status, finding = inquiry.judge()
    except Tampered as error:
        return Verdict("tampered", 1, "self-attested", str(error))
    except Unreadable as error:
        return Verdict("unreadable", 4, "self-attested", str(error))
    trust = "remembered-checkpoint" if anchors else "pinned-key" if key is not None else "self-attested"
    code = EXIT[status] if LEVELS.index(trust) >= LEVELS.index(require) else EXIT["unsealed"]
    missing = []
    if not anchors:
        missing.append("the holder of the installation key wrote the whole history anew, or cut it: only a checkpoint remembered elsewhere shows that")
    if installation is None:
        missing.append("the log was cut to an earlier state: the installation log was not consulted")
    if trust == "self-attested":
        missing.append("the key is not the one you think: compare it with one you got another way")
    rules, log = inquiry.rules, inquiry.log
    return Verdict(
        status,
        code,
        trust,
        finding,
        (rules.start or {}).get("run"),
        log.tree.size,
        rules.effects,
        rules.denials,
        log.tree.root().hex(),
        missing,
    )


def load_chain(folder: str) -> list[Key]:
    """Keys from the installation's first to the one in force, as key.pub and key.chain of this folder say."""
    path = os.path.join(folder, "key.pub")
    data = read_file(path, MAX_KEY)
    if data is None:
        raise Unreadable(f"{path}: the public key is missing")
    text = data.decode("utf-8", "replace")
    last = read_key(text[:-1]) if text.endswith("\n") else None
    if last is None:
        raise Tampered(f"{path}: it is no public key")
    chain = read_file(os.path.join(folder, "key.chain"), MAX_CHAIN)
    if chain is None:
        keys = [last]
    else:
        notes = split_notes(chain.decode("utf-8", "replace"))
        first = read_key(notes[0].split("\n")[3]) if notes and notes[0].count("\n") > 5 else None
        if not notes or first is None:
            raise Tampered(f"{folder}: key.chain holds no certificates")
        keys = [first]
        for number, note in enumerate(notes, 1):
            following = read_certificate(note, number, keys[-1])
            if following is None:
                raise Tampered(f"{folder}: certificate {number} of key.chain is not genuine")
            keys.append(following)
    if installation_of(keys[0]) != keys[0].name.removeprefix("authority/"):
        raise Tampered(f"{folder}: the key is not that of the installation it names")
    if last not in keys:
        raise Tampered(f"{folder}: key.pub is not in key.chain")
    return keys


class Inquiry:
    def __init__(self, path: str, installation: str | None, key: str | None, anchors: tuple[str, ...], run: str | None) -> None:
        self.path, self.installation, self.pinned, self.run = path, installation, key, run
        self.anchor_notes = anchors
        self.rules = Rules()
        self.log = Log(path, [])
        self.opened = self.sealed = False

    def judge(self) -> tuple[str, str | None]:
        if not os.path.isdir(self.path) or os.path.islink(self.path):
            raise self._gone()
        keys = load_chain(self.path)
        key = keys[-1]
        if key.text != (read_file(os.path.join(self.path, "key.pub"), MAX_KEY) or b"").decode("utf-8", "replace").strip("\n"):
            raise Tampered("key.pub is not the last key of key.chain")
        known = keys if self.installation is None or self.pinned is None else [*keys, *load_chain(self.installation)]
        if self.pinned is not None and self.pinned.strip() not in (k.text for k in known):
            raise Tampered("the log is signed with another key than the one given")
        anchors = self._anchors(key)
        noted = self._noted(key) if self.installation is not None else {}
        log = self.log = Log(self.path, [key])
        for record in log.records():
            self._record(record, key)
            size = log.tree.size
            for root, chain in noted.pop(size, ()):
                if root != log.tree.root().hex() or chain != log.chain.hex():
                    raise Tampered(f"the installation log noted another state at {size} records")
            for head in anchors.pop(size, ()):
                if head.origin != log.origin or head.root != log.tree.root():
                    raise Tampered("a remembered checkpoint has another root: this history was written anew")
        run = self.rules.accounts.get("run")
        if run and not self.rules.recovered and log.frame_bytes > run.limits.get("log_bytes", log.frame_bytes):
            raise Tampered(f"the records have {log.frame_bytes} bytes, which is more than log_bytes of the run")
        if noted or anchors:
            raise Tampered(f"{max([*noted, *anchors])} records were remembered and there are {log.tree.size}: records are missing")
        return self._status()

    def _record(self, record: Record, key: Key) -> None:
        fields = read_record(record.payload, record.seq, RUN_SHAPES)
        if isinstance(fields, str):
            raise Tampered(f"record {record.seq}: {fields}")
        try:
            self.rules.add(fields, self.log.last_head)
        except Tampered as error:
            raise Tampered(f"record {record.seq}: {error}") from None
        if record.seq == 0:
            self._identity(fields, key)

    def _identity(self, start: dict[str, Any], key: Key) -> None:
        installation, run = start["installation"], start["run"]
        if key.name != f"authority/{installation}":
            raise Tampered("the installation is not the one its key belongs to")
        if self.log.origin != f"authority/{installation}/run/{run}" or self.log.log_id != run:
            raise Tampered("the log says it is of another run than its first record")
        if self.run is not None and self.run != run:
            raise Tampered(f"this is the log of run {run}, not of {self.run}")
        if start["detail"].get("key") != key.text:
            raise Tampered("the first record names another key")
        secret = read_file(os.path.join(self.path, "commitments.key"), MAX_KEY)
        if secret is not None and sha256(secret).hex() != start["detail"].get("commitment_key"):
            raise Tampered("the commitment key is not the one the log began with")

    def _anchors(self, key: Key) -> dict[int, list[Head]]:
        heads: dict[int, list[Head]] = {}
        for note in self.anchor_notes:
            head = read_checkpoint(note, [key])
            if head is None:
                raise Tampered(f"a remembered checkpoint is not signed by {key.name}")
            heads.setdefault(head.size, []).append(head)
        return heads

    def _noted(self, key: Key) -> dict[int, list[tuple[str, str]]]:
        run = self.run if self.run is not None else self._run_of_header()
        noted: dict[int, list[tuple[str, str]]] = {}
        for fields, epoch, keys in self._notes_of(run, key):
            if fields["type"] == "RUN_OPENED" and keys[epoch] != key:
                raise Tampered("the run is not signed with the key that was in force when it began")
            if fields["type"] != "RUN_REMOVED":
                noted.setdefault(fields["size"], []).append((fields["root"], fields["chain"]))
        return noted

    def _run_of_header(self) -> str | None:
        header = read_file(os.path.join(self.path, "seg-00000000.log"), 64 * 1024 * 1024)
        return header[24:40].hex() if header and len(header) >= 40 else None

    def _notes_of(self, run: str | None, key: Key | None) -> Iterator[tuple[dict[str, Any], int, list[Key]]]:
        folder = self.installation or ""
        keys = load_chain(folder)
        if key is not None and key not in keys:
            raise Tampered("the run and the installation log are signed with different keys")
        log, rotations, before = Log(folder, keys), 0, 0
        shared = SharedBudget()
        chain = split_notes((read_file(os.path.join(folder, "key.chain"), MAX_CHAIN) or b"").decode("utf-8", "replace")) or []
        for record in log.records():
            fields = read_record(record.payload, record.seq, INSTALLATION_SHAPES)
            if isinstance(fields, str):
                raise Tampered(f"installation record {record.seq}: {fields}")
            kind = fields["type"]
            if (record.seq == 0) != (kind == "INSTALLATION"):
                raise Tampered("the installation log does not begin with its own record")
            if kind == "INSTALLATION" and (fields["installation"] != log.log_id or fields["key"] != keys[0].text):
                raise Tampered("the installation log is of another installation")
            if kind == "KEY_ROTATED":
                if rotations >= len(chain) or fields["certificate"] != chain[rotations]:
                    raise Tampered("a key was replaced that key.chain does not know")
                rotations += 1
            shared.add(fields)
            if fields.get("run") != run or run is None or kind.startswith("BUDGET_"):
                continue
            if kind == "RUN_REMOVED":
                yield fields, rotations, keys
                continue
            if self.sealed or fields["size"] < before:
                raise Tampered("the installation log contradicts itself about this run")
            before = fields["size"]
            self.opened |= kind == "RUN_OPENED"
            self.sealed |= kind == "RUN_SEALED"
            if not self.opened:
                raise Tampered("a run is noted that was never opened")
            yield fields, rotations, keys

    def _gone(self) -> Exception:
        """A log that is not there is tampering when the installation remembers it."""
        if self.installation is not None and self.run is not None:
            removed = [fields["type"] == "RUN_REMOVED" for fields, _, _ in self._notes_of(self.run, None)]
            if removed and not any(removed):
                return Tampered("the installation log remembers this run, and its log is gone")
        return Unreadable(f"{self.path}: there is no audit log here")

    def _status(self) -> tuple[str, str | None]:
        log, rules = self.log, self.rules
        if log.tree.size == 0:
            return "unsealed", "the log holds no record"
        if log.tail == "torn" or log.notes_torn:
            return "unsealed", "the log ends in an unfinished write, and nothing has recovered the run yet"
        if rules.ended_by is None:
            return "unsealed", "the run has not ended, or its gate died: there is no RUN_END"
        if not log.covered:
            return "unsealed", "the end of the run was never signed"
        if log.tail != "exact":
            return "unsealed", "the log was not trimmed: sealing did not finish"
        if self.installation is not None and not self.opened:
            raise Tampered("the installation log does not know this run")
        if self.installation is not None and not self.sealed:
            return "unsealed", "the installation log does not know that this run was sealed"
        return ("recovered", "the gate died during this run") if rules.recovered else ("intact", None)
