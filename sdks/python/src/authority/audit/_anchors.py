"""Checkpoints that were remembered elsewhere, and witnesses whose word is taken."""

import os
from dataclasses import dataclass
from typing import Iterable, List

from ._bounds import MAX_KEY_LINE_BYTES, MAX_NOTE_BYTES
from ._notes import COSIGNATURE, ED25519, BadNote, Checkpoint, Key, parse_checkpoint, parse_key
from ._report import Damage, Unreadable


@dataclass(frozen=True)
class Trust:
    """What the caller brought from elsewhere."""

    keys: List[Key]
    anchors: List[Checkpoint]
    witnesses: List[Key]


def read_trust(keys: Iterable[str], anchors: Iterable[str], witnesses: Iterable[str]) -> Trust:
    return Trust([_key(text, ED25519) for text in keys], [_anchor(path) for path in anchors], [_key(text, COSIGNATURE) for text in witnesses])


def _key(text: str, kind: int) -> Key:
    """A key line, or the file that holds one."""
    try:
        if os.path.isfile(text):
            with open(text, "rb") as file:
                text = file.read(MAX_KEY_LINE_BYTES + 1).decode("ascii")
        key = parse_key(text.strip())
    except (BadNote, OSError, UnicodeDecodeError) as error:
        raise Unreadable("key %s: %s" % (text[:80], error)) from None
    if key.kind != kind:
        raise Unreadable("key %s: not of the kind that is asked for" % text[:80])
    return key


def _anchor(path: str) -> Checkpoint:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_NOTE_BYTES + 1)
    except OSError as error:
        raise Unreadable("anchor %s: %s" % (path, error.strerror)) from None
    try:
        # As `checkpoints` holds it, an empty line may follow.
        note = parse_checkpoint(data[:-1] if data.endswith(b"\n\n") else data)
        if len(data) > MAX_NOTE_BYTES:
            raise BadNote("longer than %d bytes" % MAX_NOTE_BYTES)
        return note
    except BadNote as error:
        raise Damage("the remembered checkpoint in %s: %s" % (path, error)) from None
