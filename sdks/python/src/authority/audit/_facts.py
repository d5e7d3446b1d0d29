"""What others say of a log: at this size it has that root, and that chain. A log shorter than that was cut."""

from dataclasses import dataclass
from typing import Dict, List, Optional

from ._bounds import MAX_NOTED_SIZES
from ._report import Damage, Unreadable


@dataclass(frozen=True)
class Fact:
    source: str
    root: bytes
    chain: Optional[bytes]


class Facts:
    def __init__(self) -> None:
        self.by_size: Dict[int, List[Fact]] = {}

    def add(self, size: int, fact: Fact) -> None:
        if len(self.by_size) >= MAX_NOTED_SIZES:
            raise Unreadable("more than %d sizes are noted of one log" % MAX_NOTED_SIZES)
        facts = self.by_size.setdefault(size, [])
        if fact not in facts:
            if len(facts) >= 16:
                raise Damage("too many states are claimed at size %d" % size)
            facts.append(fact)

    def add_all(self, others: "Facts") -> None:
        for size, facts in others.by_size.items():
            for fact in facts:
                self.add(size, fact)

    def confirm(self, size: int, root: bytes, chain: bytes) -> None:
        for fact in self.by_size.pop(size, ()):
            if fact.root != root or fact.chain not in (None, chain):
                raise Damage("at size %d the log is not what %s says" % (size, fact.source))

    def all_confirmed(self) -> None:
        for size, facts in sorted(self.by_size.items()):
            raise Damage("%s knows %d records, the log is shorter" % (facts[0].source, size))
