"""Keys, signed notes, checkpoints and key certificates (FORMAT.md "Checkpoints and keys", "Keys that follow each other")."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from . import _ed25519

MAX_NOTE = 4096
MAX_SAFE = 2**53 - 1


class Tampered(Exception):
    """The log was changed."""


class Unreadable(Exception):
    """It cannot be judged: it cannot be read, or is of a version this module does not know."""


def strict_base64(text: str) -> bytes | None:
    """Canonical base64 with padding only."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


@dataclass(frozen=True)
class Key:
    text: str
    name: str
    raw: bytes
    id: bytes

    def signed(self, body: str, line: str) -> bool:
        """Whether the signature line is one of this key over the body."""
        prefix = f"\u2014 {self.name} "
        data = strict_base64(line[len(prefix) :]) if line.startswith(prefix) else None
        if data is None or len(data) != 68 or data[:4] != self.id:
            return False
        return _ed25519.verify(self.raw, body.encode("utf-8", "surrogatepass"), data[4:])


def read_key(text: str) -> Key | None:
    """`NAME+HEX+BASE64` of type 1 (Ed25519); None when it is not exactly that."""
    match = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{43}[=A-Za-z0-9+/])", text)
    if match is None:
        return None
    name, digest, encoded = match.groups()
    typed = strict_base64(encoded)
    if typed is None or len(typed) != 33 or typed[0] != 1:
        return None
    ident = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    return Key(text, name, typed[1:], ident) if ident.hex() == digest else None


def installation_of(key: Key) -> str:
    return hashlib.sha256(b"authority/installation/v1" + key.raw).hexdigest()[:32]


def split_note(note: str) -> tuple[str, list[str]] | None:
    """Text with its last newline, and signature lines; None when it is no signed note."""
    cut = note.rfind("\n\n")
    if cut < 0 or not note.endswith("\n"):
        return None
    lines = note[cut + 2 : -1].split("\n")
    return (note[: cut + 1], lines) if all(line.startswith("\u2014 ") for line in lines) else None


@dataclass(frozen=True)
class Head:
    origin: str
    size: int
    root: bytes
    # Positions of the keys that signed it, in the order of the chain.
    signers: frozenset[int]


def read_checkpoint(note: str, keys: list[Key]) -> Head | None:
    """A checkpoint with a good signature of at least one of the keys, or None."""
    parts = split_note(note)
    if parts is None:
        return None
    text, lines = parts
    signers = frozenset(i for i, key in enumerate(keys) if any(key.signed(text, line) for line in lines))
    fields = text.split("\n")
    if not signers or len(fields) < 4:
        return None
    origin, size, root = fields[0], fields[1], strict_base64(fields[2])
    if not origin or not re.fullmatch(r"[1-9][0-9]{0,15}", size) or int(size) > MAX_SAFE:
        return None
    return Head(origin, int(size), root, signers) if root is not None and len(root) == 32 else None


def split_notes(text: str) -> list[str] | None:
    """Notes of a file in which each is followed by an empty line; None when something is left over."""
    notes = []
    while text:
        gap = text.find("\n\n")
        end = text.find("\n\n", gap + 2) if gap >= 0 else -1
        if end < 0:
            return None
        notes.append(text[: end + 1])
        text = text[end + 2 :]
    return notes


def read_certificate(note: str, number: int, old: Key) -> Key | None:
    """The new key of certificate `number`, signed by the key before it and by itself; None when it is not that."""
    parts = split_note(note)
    if parts is None:
        return None
    text, lines = parts
    fields = text.split("\n")
    new = read_key(fields[4]) if len(fields) == 6 else None
    expected = ["authority/key-rotation/v1", old.name.removeprefix("authority/"), str(number), old.text]
    if new is None or fields[:4] != expected or new.name != old.name:
        return None
    both = all(any(key.signed(text, line) for line in lines) for key in (old, new))
    return new if both else None
