"""What a verification ends with: a verdict, what it rests on, what was proved and what could not be excluded."""

from dataclasses import dataclass, field
from typing import Any, Dict, List

INTACT, DAMAGED, RECOVERED, UNSEALED, UNREADABLE = "intact", "tampered", "recovered", "unsealed", "unreadable"
EXIT_CODES = {INTACT: 0, DAMAGED: 1, RECOVERED: 2, UNSEALED: 3, UNREADABLE: 4}

# Weakest first.
LEVELS = ("self-attested", "pinned-key", "remembered-checkpoint", "witnessed")


class Damage(Exception):
    """The log contradicts itself, its signatures, the installation's log or what was remembered."""


class Unreadable(Exception):
    """No log here, one that may not be read, or a version not known."""


@dataclass
class Report:
    path: str
    verdict: str = UNREADABLE
    basis: str = LEVELS[0]
    required: str = LEVELS[0]
    kind: str = ""
    origin: str = ""
    records: int = 0
    root: str = ""
    checkpoints: int = 0
    problems: List[str] = field(default_factory=list)
    proved: List[str] = field(default_factory=list)
    not_excluded: List[str] = field(default_factory=list)

    @property
    def trusted(self) -> bool:
        return LEVELS.index(self.basis) >= LEVELS.index(self.required)

    @property
    def exit_code(self) -> int:
        if self.verdict in (INTACT, RECOVERED) and not self.trusted:
            return EXIT_CODES[UNSEALED]
        return EXIT_CODES[self.verdict]

    def reach(self, level: str) -> None:
        if LEVELS.index(level) > LEVELS.index(self.basis):
            self.basis = level

    def to_json(self) -> Dict[str, Any]:
        return {
            "path": self.path,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "basis": self.basis,
            "required": self.required,
            "kind": self.kind,
            "origin": self.origin,
            "records": self.records,
            "root": self.root,
            "checkpoints": self.checkpoints,
            "problems": self.problems,
            "proved": self.proved,
            "not_excluded": self.not_excluded,
        }
