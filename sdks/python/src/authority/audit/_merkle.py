"""The tree of RFC 6962, grown a leaf at a time: only the roots of its perfect subtrees are kept."""

from hashlib import sha256
from typing import List

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(payload: bytes) -> bytes:
    return sha256(b"\x00" + payload).digest()


class Tree:
    def __init__(self) -> None:
        self.size = 0
        self.subtrees: List[bytes] = []  # largest first

    def append(self, leaf: bytes) -> None:
        complete = self.size
        while complete & 1:
            leaf = sha256(b"\x01" + self.subtrees.pop() + leaf).digest()
            complete >>= 1
        self.subtrees.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self.subtrees:
            return EMPTY_ROOT
        node = self.subtrees[-1]
        for left in reversed(self.subtrees[:-1]):
            node = sha256(b"\x01" + left + node).digest()
        return node
