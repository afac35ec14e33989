"""Files that a stranger has made: no link is followed, nothing is waited for, nothing is longer than it can be."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager

from .finding import Finding

WIDTH = 256
HEAD_BYTES_MAX = 1 << 20
TILE_BYTES_MAX = WIDTH * (2 + 0xFFFF)
PAYLOAD_BYTES_MAX = 256 << 20
_CAUTIOUS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def unreadable(name: str, why: str) -> Finding:
    """A file cannot be read."""
    return Finding(None, f"cannot read `{name}`: {why}", "unreadable")


def _entered(fd: int, part: str, flags: int) -> int:
    inner = os.open(part, flags, dir_fd=fd)
    os.dup2(inner, fd, inheritable=False)
    os.close(inner)
    return fd


class Export:
    """A directory with an export. Whoever names it chooses where it is; below it no link is followed."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise unreadable(path, error.strerror or str(error)) from None

    def close(self) -> None:
        """Gives the directory back."""
        os.close(self._fd)

    @contextmanager
    def open(self, name: str, most: int) -> Generator[int, None, None]:
        """A plain file with at most so many bytes. `FileNotFoundError` where there is none."""
        *above, last = name.split("/")
        fd = os.dup(self._fd)
        try:
            for part in above:
                fd = _entered(fd, part, _CAUTIOUS | os.O_DIRECTORY)
            fd = _entered(fd, last, _CAUTIOUS)
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise unreadable(name, "it is no plain file")
            if found.st_size > most:
                raise unreadable(name, f"it has more than {most} bytes")
            yield fd
        except FileNotFoundError:
            raise
        except OSError as error:
            is_link = error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)
            why = "a directory or file on the way is none, and no link is followed" if is_link else error.strerror
            raise unreadable(name, why or str(error)) from None
        finally:
            os.close(fd)

    def read(self, name: str, most: int) -> bytes:
        """All of a file."""
        try:
            with self.open(name, most) as fd:
                pieces: list[bytes] = []
                left = most + 1
                while left > 0 and (piece := os.read(fd, min(left, 1 << 20))):
                    pieces.append(piece)
                    left -= len(piece)
        except FileNotFoundError:
            raise unreadable(name, "it is not there") from None
        if left == 0:
            raise unreadable(name, f"it has more than {most} bytes")
        return b"".join(pieces)

    def has(self, name: str) -> bool:
        """Whether there is anything of this name, be it a link that leads nowhere."""
        return os.path.lexists(os.path.join(self.path, name))

    def entries(self, index: int, width: int) -> list[bytes]:
        """The entries of a bundle. Each stands behind its length in two bytes."""
        name = tile("entries", index, width)
        data, at = self.read(name, TILE_BYTES_MAX), 0
        entries: list[bytes] = []
        while at + 2 <= len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if end > len(data):
                break
            entries.append(data[at + 2 : end])
            at = end
        if at != len(data) or len(entries) != width:
            raise Finding(None, f"`{name}` does not hold {width} entries", "unreadable")
        return entries

    def hashes(self, level: int, index: int, width: int) -> list[bytes]:
        """The hashes of a tile."""
        name = tile(str(level), index, width)
        try:
            data = self.read(name, TILE_BYTES_MAX)
        except Finding as finding:
            raise Finding(None, finding.what, "proof") from None
        if len(data) != 32 * width:
            raise Finding(None, f"`{name}` does not hold {width} hashes", "proof")
        return [data[at : at + 32] for at in range(0, len(data), 32)]


def tile(level: str, index: int, width: int) -> str:
    """Where a tile lies: three digits a directory, all but the last group behind an `x`."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{path}" + (f".p/{width}" if width < WIDTH else "")
