"""The key a log is signed with, and the certificates that lead to it from the installation's first."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import List

from ._bounds import MAX_KEY_CHAIN_BYTES, MAX_KEY_LINE_BYTES
from ._files import Folder
from ._notes import ED25519, BadNote, Key, Note, end_of_note, parse_key, parse_note
from ._report import Damage, Unreadable

_NAME = re.compile(r"authority/([0-9a-f]{32})")
_CERTIFICATE = "authority/key-rotation/v1"


@dataclass(frozen=True)
class KeyChain:
    installation: str
    keys: List[Key]  # the installation's first, then each certificate's new one
    certificates: List[bytes]
    own: Key  # that of key.pub

    def holds(self, key: Key) -> bool:
        return any(key.public == mine.public and key.name == mine.name for mine in self.keys)


def read_keys(folder: Folder) -> KeyChain:
    try:
        own = _read_key_line(folder)
        certificates = _read_certificates(folder)
        keys = [_follow(certificate, number, own.name) for number, certificate in enumerate(certificates, 1)]
        first = parse_key(certificates[0].lines()[3]) if certificates else own
        chain = [first, *keys]
        for before, certificate in zip(chain, certificates):
            if certificate.lines()[3] != before.line:
                raise BadNote("key.chain: a certificate does not begin where the one before it ends")
    except BadNote as error:
        raise Damage("%s" % error) from None
    installation = own.name.split("/")[1]
    if sha256(b"authority/installation/v1" + first.public).digest()[:16].hex() != installation:
        raise Damage("key.pub: its first key is not the one installation %s is named for" % installation)
    return KeyChain(installation, chain, [certificate.raw for certificate in certificates], own)


def _read_key_line(folder: Folder) -> Key:
    data = folder.read_small("key.pub", MAX_KEY_LINE_BYTES)
    if data is None:
        raise Unreadable("key.pub is missing: there is nothing to verify with")
    try:
        if not data.endswith(b"\n"):
            raise BadNote("not one line")
        key = parse_key(data[:-1].decode("utf-8"))
    except (BadNote, UnicodeDecodeError) as error:
        raise Damage("key.pub: %s" % error) from None
    if key.kind != ED25519 or not _NAME.fullmatch(key.name):
        raise Damage("key.pub: not a key of an installation")
    return key


def _read_certificates(folder: Folder) -> List[Note]:
    data = folder.read_small("key.chain", MAX_KEY_CHAIN_BYTES)
    if data is None:
        return []
    notes = []
    while data or not notes:
        end = end_of_note(data)
        if not end:
            raise BadNote("key.chain: does not end in an empty line")
        notes.append(parse_note(data[: end - 1]))
        data = data[end:]
    return notes


def _follow(certificate: Note, number: int, name: str) -> Key:
    """The new key of a certificate that the old and the new one signed."""
    lines = certificate.lines()
    place = "key.chain: certificate %d" % number
    if len(lines) != 5 or lines[0] != _CERTIFICATE or name != "authority/" + lines[1] or lines[2] != str(number):
        raise BadNote(place + " does not say installation and number")
    old, new = parse_key(lines[3]), parse_key(lines[4])
    if any(key.kind != ED25519 or key.name != name for key in (old, new)):
        raise BadNote(place + " is of another name")
    if not all(key.signed(certificate) for key in (old, new)):
        raise BadNote(place + " is not signed by both keys")
    return new
