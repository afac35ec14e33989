"""The run that `@aecl.guard` acts in: that of the innermost `with`, by context."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from .errors import Invalid

if TYPE_CHECKING:
    from ._async import AsyncRun
    from ._sync import Run

current: ContextVar[Run | AsyncRun | None] = ContextVar("aecl_run", default=None)


def left(token: Token[Any]) -> None:
    """Goes back to the run of before; in another context, as of a fixture, there is nothing to go back to."""
    with contextlib.suppress(ValueError):
        current.reset(token)


def no_run(name: str, kind: str) -> Invalid:
    """Error of a guarded call outside of a run."""
    return Invalid(
        "no_run",
        f"`{name}` was called outside of a run of this kind",
        hint=f"call it inside of `{kind}`; a new thread needs contextvars.copy_context().run",
    )
