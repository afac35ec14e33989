"""Verifies an export from its files alone. The pinned key is the only thing that is believed."""

from __future__ import annotations

import base64
import hmac
import os
import re

from . import entry as entries
from .entry import Malformed, Object
from .files import HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX, WIDTH, Export, tile, unreadable
from .finding import Finding
from .note import Checkpoint, Key, NoteError, decoded, open_checkpoint
from .story import Story
from .tree import Tree, leaf_hash

# Of which kind the payload is to which an entry commits.
_PAYLOADS = {"ruled": "arguments", "concluded": "output", "run_opened": "stated", "bundle_loaded": "bundle"}
_PAYLOAD = re.compile(rb'\{"kind":"([a-z]{1,16})","salt":"([A-Za-z0-9+/]{43}=)","content":"')
_PIECE = 3 << 18


def verify(path: str, key: Key, kept_head: str | None = None, payloads: bool = True) -> Object:
    """The report about an export that verifies, in the form of `aecl log verify --json`.

    `kept_head` is a signed head of the past that somebody has kept: the ledger must continue it. Payloads are
    compared with what entries commit to as far as they are there. Raises `Finding` otherwise.
    """
    export = Export(path)
    try:
        return _Audit(export, key, kept_head, payloads).report()
    finally:
        export.close()


def _opened(signed: str, key: Key, what: str) -> Checkpoint:
    try:
        return open_checkpoint(signed, key)
    except NoteError as error:
        raise Finding(None, f"the {what} does not hold: {error}", "proof") from None


class _Audit:
    """One walk over all entries, in order."""

    def __init__(self, export: Export, key: Key, kept_head: str | None, payloads: bool) -> None:
        self._export, self._origin = export, key.name
        try:
            signed = export.read("checkpoint", HEAD_BYTES_MAX).decode()
        except UnicodeDecodeError:
            raise unreadable("checkpoint", "it is no UTF-8") from None
        self._head = _opened(signed, key, "head")
        self._kept = _opened(kept_head, key, "kept head") if kept_head is not None else None
        if self._kept and self._kept.size > self._head.size:
            raise Finding(
                self._head.size,
                f"the ledger ends at {self._head.size} entries, but the kept head covers {self._kept.size}: its "
                "tail was cut, or an older copy was put back",
                "proof",
            )
        self._looks = payloads and export.has("payloads")
        self._story = Story()
        self._good: dict[str, str] = {}  # payloads that are as committed, each with its kind
        self._missing: set[str] = set()
        self._erased: set[str] = set()

    def report(self) -> Object:
        self._check()
        size = self._head.size
        story = self._story
        if self._goes_on():
            what = "entries lie beyond the head: an export was interrupted, or an older head was put back"
            story.warnings.append({"position": size, "what": what})
        return {
            "origin": self._origin,
            "entries": size,
            "root": base64.b64encode(self._head.root).decode(),
            "continues": self._kept.size if self._kept else None,
            **story.report(),
            "payloads": len(self._good),
            "payloads_missing": len(self._missing - self._erased),
            "payloads_erased": len(self._erased),
            "warnings": story.warnings,
            "warnings_more": story.warnings_more,
        }

    def _check(self) -> None:
        head, kept = self._head, self._kept
        tree = Tree(self._export, head.size, kept.size if kept else None)
        for first in range(0, head.size, WIDTH):
            bundle = self._export.entries(first // WIDTH, min(WIDTH, head.size - first))
            told = self._tell(first, bundle)
            hashed = _grow(tree, bundle)
            # Bytes that are not what was hashed explain a story that makes no sense, not the other way round.
            if hashed and not (told and _place(told) < _place(hashed)):
                raise hashed
            if told:
                raise told
        if kept and tree.kept_root != kept.root:
            raise Finding(
                None,
                f"the first {kept.size} entries do not lead to the root that the kept head signs: history was "
                "written anew",
                "proof",
            )
        if tree.root() != head.root:
            raise Finding(None, "the entries do not lead to the root that is signed", "proof")

    def _tell(self, first: int, bundle: list[bytes]) -> Finding | None:
        try:
            for position, data in enumerate(bundle, first):
                try:
                    entry = entries.parse(data)
                except Malformed as error:
                    raise Finding(position, str(error), "story") from None
                self._story.take(position, entry)
                self._payloads(position, entry)
            if first + len(bundle) == self._head.size:
                self._story.end()
        except Finding as finding:
            return finding
        return None

    def _payloads(self, position: int, entry: Object) -> None:
        kind = entry["kind"]
        said = next((entry[name] for name in entries.COMMITMENTS if name in entry), None)
        committed: list[tuple[str | None, str]] = []
        # Whoever was turned away at the door has left a digest and no content.
        is_unkept = kind == "ruled" and entry.get("unkept")
        if said is not None and not is_unkept and (kind in _PAYLOADS or kind == "erased"):
            committed.append((_PAYLOADS.get(kind), said))
        if "beside" in entry:
            committed.append(("beside", entry["beside"]))
        for of, digest in committed:
            try:
                entries.digest(digest)
            except Malformed as error:
                raise Finding(position, str(error), "story") from None
            if not self._looks:
                continue
            if of is None:
                self._erased.add(digest)
            elif self._good.get(digest) != of:
                self._look(position, of, digest)

    def _look(self, position: int, kind: str, digest: str) -> None:
        hex_ = digest.removeprefix("sha256:")
        try:
            found = _payload(self._export, f"payloads/{hex_}.json", kind)
        except FileNotFoundError:
            self._missing.add(digest)
            return
        except Finding as finding:
            raise Finding(position, f"its payload: {finding.what}", finding.kind) from None
        if found != hex_:
            raise Finding(position, f"its payload {hex_} is not what was committed to", "proof")
        self._good[digest] = kind

    def _goes_on(self) -> bool:
        index, width = divmod(self._head.size, WIDTH)
        return any(self._export.has(tile("entries", index, wider)) for wider in range(width + 1, WIDTH + 1))


def _place(finding: Finding) -> int:
    return 2**64 if finding.position is None else finding.position


def _grow(tree: Tree, bundle: list[bytes]) -> Finding | None:
    try:
        for data in bundle:
            tree.add(leaf_hash(data))
    except Finding as finding:
        return finding
    return None


def _payload(export: Export, name: str, kind: str) -> str:
    """The commitment to what a payload file holds. It is read in pieces, since it may be long."""
    with export.open(name, PAYLOAD_BYTES_MAX) as fd:
        begin = os.read(fd, 256)
        match = _PAYLOAD.match(begin)
        salt = decoded(match[2]) if match else None
        if not match or not salt or match[1] != kind.encode():
            raise unreadable(name, f"it is no payload of kind `{kind}` as an export writes it")
        mac = hmac.new(salt, kind.encode() + b"\0", "sha256")
        left = begin[match.end() :]
        while True:
            piece = os.read(fd, _PIECE)
            left += piece
            # Two bytes end the file; what stands before them is base64, of which four letters go together. The last
            # four wait for the end, since only they may be padded.
            ready = (len(left) - 3) // 4 * 4 if piece else len(left) - 2
            if ready > 0:
                content = decoded(left[:ready])
                if content is None or (piece and left[ready - 1 : ready] == b"="):
                    raise unreadable(name, "its content is not base64")
                mac.update(content)
                left = left[ready:]
            if not piece:
                break
        if left != b'"}':
            raise unreadable(name, "it ends early, or goes on after its content")
        return mac.hexdigest()
