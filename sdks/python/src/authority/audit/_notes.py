"""Signed notes (c2sp.org/signed-note), their keys, and the checkpoints in them (c2sp.org/tlog-checkpoint)."""

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import List

from . import _ed25519
from ._bounds import MAX_INTEGER
from ._report import Damage

ED25519, COSIGNATURE = 0x01, 0x04
_DASH = "\u2014 "
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_HASH = re.compile(r"[0-9a-f]{8}")
_SIGNATURE = re.compile("\u2014 [^ +]+ ([A-Za-z0-9+/]+={0,2})")
_LEAST_SIGNATURE_BYTES = 5  # key hash and a byte
_SIZE = re.compile(r"[1-9][0-9]{0,15}")


class BadNote(ValueError):
    pass


@dataclass(frozen=True)
class Key:
    name: str
    kind: int
    public: bytes
    line: str

    @property
    def hash(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def signed(self, note: "Note") -> bool:
        """Whether this key signed the note. A signature said to be this key's and false spoils the whole note."""
        mine = [line[4:] for line in map(self._signature_in, note.signatures) if line[:4] == self.hash]
        if not all(self._verifies(note, signature) for signature in mine):
            raise Damage("a signature of %s is false" % self.name)
        return bool(mine)

    def _signature_in(self, line: str) -> bytes:
        """Key hash and signature of a line with this key's name; a line of anybody else is ignored."""
        prefix = _DASH + self.name + " "
        try:
            return decode_base64(line[len(prefix) :]) if line.startswith(prefix) else b""
        except BadNote:
            return b""

    def _verifies(self, note: "Note", signature: bytes) -> bool:
        if self.kind == ED25519:
            return _ed25519.verify(self.public, note.text, signature)
        timestamp = int.from_bytes(signature[:8], "big")
        if len(signature) != 72 or timestamp >= 2**63:
            return False
        return _ed25519.verify(self.public, b"cosignature/v1\ntime %d\n" % timestamp + note.text, signature[8:])


def parse_key(line: str) -> Key:
    """NAME+HEX(KEYHASH)+BASE64(kind ‖ public key)."""
    parts = line.split("+", 2)
    if len(parts) != 3 or not _is_name(parts[0]) or not _HASH.fullmatch(parts[1]):
        raise BadNote("not a key line: NAME+HASH+KEY")
    material = decode_base64(parts[2])
    if len(material) != 33 or material[0] not in (ED25519, COSIGNATURE):
        raise BadNote("not an Ed25519 key")
    key = Key(parts[0], material[0], material[1:], line)
    if key.hash.hex() != parts[1]:
        raise BadNote("the hash in a key line is not that key's")
    return key


@dataclass(frozen=True)
class Note:
    raw: bytes
    text: bytes  # what is signed: up to and with the newline before the empty line
    signatures: List[str]  # whole lines

    def lines(self) -> List[str]:
        return self.text.decode().split("\n")[:-1]


def parse_note(raw: bytes) -> Note:
    """A note from its first byte to the newline of its last signature."""
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BadNote("not UTF-8") from None
    if _CONTROL.search(whole):
        raise BadNote("a control character")
    text, separator, below = whole.partition("\n\n")
    if not separator or not text or not below.endswith("\n"):
        raise BadNote("not a text, an empty line and signatures")
    signatures = below[:-1].split("\n")
    if not all(map(_is_signature, signatures)):
        raise BadNote("a line among the signatures that is none")
    return Note(raw, (text + "\n").encode(), signatures)


def _is_signature(line: str) -> bool:
    """Whether it has the form of one, whoever's it is."""
    match = _SIGNATURE.fullmatch(line)
    try:
        return match is not None and len(decode_base64(match.group(1))) >= _LEAST_SIGNATURE_BYTES
    except BadNote:
        return False


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)


def decode_base64(text: str) -> bytes:
    """RFC 4648 section 4 with padding; only the spelling an encoder gives."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise BadNote("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise BadNote("not canonical base64")
    return data


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes
    note: Note


def parse_checkpoint(raw: bytes) -> Checkpoint:
    note = parse_note(raw)
    lines = note.lines()
    # Lines beyond the three are extensions: signed, and ignored.
    if len(lines) < 3:
        raise BadNote("a checkpoint has an origin, a size and a root")
    if not _SIZE.fullmatch(lines[1]) or int(lines[1]) > MAX_INTEGER:
        raise BadNote("not the size of a tree")
    root = decode_base64(lines[2])
    if len(root) != 32:
        raise BadNote("not a root of 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root, note)


def end_of_note(data: bytes) -> int:
    """Where the note that begins data ends: behind its second empty line; 0 when data holds less than that."""
    separator = 0 if data.startswith(b"\n") else data.find(b"\n\n") + 1
    if separator == 0 and not data.startswith(b"\n"):
        return 0
    return data.find(b"\n\n", separator) + 2 if data.find(b"\n\n", separator) >= 0 else 0
