"""The tree, grown again from the bytes of the entries (RFC 6962), and compared with the tiles."""

from __future__ import annotations

import hashlib

from .files import WIDTH, Export
from .finding import Finding


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_over(hashes: list[bytes]) -> bytes:
    """The root over hashes. An odd one at the end goes up as it is, which is the tree of the RFC."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    row = hashes
    while len(row) > 1:
        above = [node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
        row = above + row[len(above) * 2 :]
    return row[0]


class Tree:
    """The tree over the leaves so far: of each row of tiles the hashes since the last full one."""

    def __init__(self, export: Export, size: int, kept: int | None) -> None:
        self._export, self._size = export, size
        self._kept, self.kept_root = kept, root_over([]) if kept == 0 else None
        self._rows: list[tuple[int, list[bytes]]] = []
        self.size = 0

    def add(self, leaf: bytes) -> None:
        """Takes the next leaf."""
        self._push(0, leaf)
        self.size += 1
        if self.size == self._kept:
            self.kept_root = self.root()
        if self.size == self._size:
            for level in range(len(self._rows)):
                self._compare(level)

    def root(self) -> bytes:
        """The root over all leaves so far."""
        below: list[bytes] = []
        for _, row in self._rows:
            all_ = row + below
            below = [root_over(all_)] if all_ else []
        return root_over(below)

    def _push(self, level: int, hash_: bytes) -> None:
        if level == len(self._rows):
            self._rows.append((0, []))
        index, row = self._rows[level]
        row.append(hash_)
        if len(row) == WIDTH:
            self._compare(level)
            self._rows[level] = (index + 1, [])
            self._push(level + 1, root_over(row))

    def _compare(self, level: int) -> None:
        index, row = self._rows[level]
        if not row:
            return
        stored = self._export.hashes(level, index, len(row))
        for at, (theirs, ours) in enumerate(zip(stored, row, strict=True)):
            if theirs != ours:
                # A wrong node higher up has no position: of wrong entries the first leaf shows.
                position = index * WIDTH + at if level == 0 else None
                raise Finding(position, f"its hash is not the one in tile {index} of level {level}", "proof")
