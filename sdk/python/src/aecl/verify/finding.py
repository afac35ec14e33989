"""What is wrong, and where it first shows."""

from __future__ import annotations

from typing import Any


class Finding(Exception):
    """A finding. Its class is `proof` (bytes, tree, signature and heads do not fit each other), `story`
    (the entries contradict each other, or are none that are known here) or `unreadable`."""

    def __init__(self, position: int | None, what: str, kind: str) -> None:
        place = "" if position is None else f"entry {position}: "
        super().__init__(place + what)
        self.position, self.what, self.kind = position, what, kind

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"position": self.position, "what": self.what, "class": self.kind}
