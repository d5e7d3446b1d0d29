"""Checkpoints that were remembered elsewhere, and witnesses whose word is taken."""

import os
from dataclasses import dataclass
from typing import Iterable, List

from ._bounds import MAX_ANCHOR_BYTES, MAX_KEY_LINE_BYTES
from ._notes import COSIGNATURE, ED25519, BadNote, Checkpoint, Key, Note, end_of_note, parse_checkpoint, parse_key
from ._report import Damage, Unreadable


@dataclass(frozen=True)
class Trust:
    """What the caller brought from elsewhere."""

    keys: List[Key]
    anchors: List[Checkpoint]
    witnesses: List[Key]


def read_trust(keys: Iterable[str], anchors: Iterable[str], witnesses: Iterable[str]) -> Trust:
    return Trust([_key(text, ED25519) for text in keys], [note for path in anchors for note in _anchor(path)], [_key(text, COSIGNATURE) for text in witnesses])


def signed_by_any(note: Note, keys: Iterable[Key]) -> bool:
    try:
        return any([key.signed(note) for key in keys])
    except Damage:
        return False


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


def _anchor(path: str) -> List[Checkpoint]:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_ANCHOR_BYTES + 1)
    except OSError as error:
        raise Unreadable("anchor %s: %s" % (path, error.strerror)) from None
    if len(data) > MAX_ANCHOR_BYTES:
        raise Unreadable("anchor %s: longer than %d bytes" % (path, MAX_ANCHOR_BYTES))
    checkpoints = []
    try:
        while data or not checkpoints:
            end = end_of_note(data) or len(data) + 1  # the last note may stand without an empty line behind it
            checkpoints.append(parse_checkpoint(data[: end - 1]))
            data = data[end:]
    except BadNote as error:
        raise Unreadable("anchor %s: %s" % (path, error)) from None
    return checkpoints
