"""Signed notes and checkpoints: who says which entries there are (C2SP signed-note, tlog-checkpoint)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata
from dataclasses import dataclass

from . import ed25519

NOTE_BYTES_MAX = 1 << 20
SIGNATURES_MAX = 100
U64_MAX = 2**64 - 1
_ED25519 = b"\x01"
_SIZE = re.compile(r"0|[1-9][0-9]{0,19}")


class NoteError(Exception):
    """It is no note, no key, no checkpoint, or not signed by whom it should be."""


def decoded(text: str | bytes) -> bytes | None:
    """What standard base64 stands for. There is one spelling, with padding and nothing beside it."""
    try:
        raw = text.encode("ascii") if isinstance(text, str) else text
        out = base64.b64decode(raw, validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return out if base64.b64encode(out) == raw else None


def _is_name(name: str) -> bool:
    return name != "" and not any(c == "+" or c.isspace() or unicodedata.category(c) == "Cc" for c in name)


@dataclass(frozen=True)
class Key:
    """What an auditor pins: a name, which is the ledger's origin, and a public key."""

    name: str
    id: bytes
    public: bytes
    text: str

    @classmethod
    def parse(cls, text: str) -> Key:
        """Reads `name+id+key`, as `aecl log key` prints it."""
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise NoteError(f"`{text}` is not a verifier key: it is not `name+id+key`")
        name, id_, key = parts
        raw = decoded(key)
        if not _is_name(name):
            raise NoteError(f"`{name}` is not a key name")
        if raw is None or raw[:1] != _ED25519 or len(raw) != 33:
            raise NoteError(f"`{text}` is not a verifier key: its key is not 32 bytes of Ed25519")
        if not ed25519.is_key(raw[1:]):
            raise NoteError(f"`{text}` is not a verifier key: its key is no point, or one of small order")
        hash_ = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
        if hash_.hex() != id_:
            raise NoteError(f"`{text}` is not a verifier key: its id does not belong to name and key")
        return cls(name, hash_, raw[1:], text)


@dataclass(frozen=True)
class Checkpoint:
    """A signed head: how many entries there are, and the root over them."""

    size: int
    root: bytes


def _signature(line: str) -> tuple[str, bytes]:
    if not line.startswith("— ") or " " not in line[2:]:
        raise NoteError(f"not a signed note: `{line[:200]}` is not a signature line")
    name, text = line[2:].split(" ", 1)
    raw = decoded(text)
    if not _is_name(name) or raw is None or len(raw) < 5:
        raise NoteError(f"not a signed note: `{line[:200]}` is not a signature line")
    return name, raw


def _text(note: str, key: Key) -> str:
    """The text of a note that this key has signed. A bad signature by this key spoils the note."""
    if len(note.encode()) > NOTE_BYTES_MAX:
        raise NoteError("not a signed note: it is too long")
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise NoteError("not a signed note: no blank line, or no newline at its end")
    text += "\n"
    if any(c < " " and c != "\n" for c in text):
        raise NoteError("not a signed note: it has a control character")
    signatures = lines[:-1].split("\n")
    if len(signatures) > SIGNATURES_MAX:
        raise NoteError("not a signed note: it has too many signatures")
    ours = [raw[4:] for name, raw in map(_signature, signatures) if (name, raw[:4]) == (key.name, key.id)]
    if not ours:
        raise NoteError(f"not signed by `{key.text}`")
    if not all(ed25519.verify(key.public, text.encode(), raw) for raw in ours):
        raise NoteError(f"the signature by `{key.text}` does not fit the text")
    return text


def open_checkpoint(note: str, key: Key) -> Checkpoint:
    """The checkpoint of the pinned ledger: three lines, and none beside them."""
    lines = _text(note, key).split("\n")
    if len(lines) != 4 or lines[3] != "":
        raise NoteError("not a checkpoint: it has not exactly three lines")
    origin, size, root = lines[0], lines[1], decoded(lines[2])
    if not _SIZE.fullmatch(size) or int(size) > U64_MAX:
        raise NoteError("not a checkpoint: the size is not a number as it is written here")
    if root is None or len(root) != 32:
        raise NoteError("not a checkpoint: the root is not a hash in base64")
    if origin != key.name:
        raise NoteError(f"a checkpoint of `{origin}`, not of `{key.name}`")
    return Checkpoint(int(size), root)
