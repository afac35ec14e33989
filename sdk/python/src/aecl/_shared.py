"""What runs for threads and runs for coroutines have in common; nothing here sends anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import _flow, _wire
from ._flow import Outcome, State
from ._spec import output_of
from ._transport import Place
from .errors import Error, Invalid, Pending, Unauthorized

#: Outcome, output as JSON, code and words, as they are reported.
Handed = tuple[Outcome, "bytes | None", "str | None", str]


@dataclass(frozen=True)
class Settings:
    """Settings of a guard."""

    wait: float | None = None
    compensate: Callable[[_flow.Done], Any] | None = None
    lookup: Callable[..., Any] | None = None
    surely_failed: tuple[type[Exception], ...] = ()
    unjudged: Sequence[str] = ()
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None

    def sure(self, error: BaseException) -> tuple[type[Exception], ...]:
        """Exceptions after which surely nothing has happened; a permit that was never used is one."""
        if isinstance(error, Error) and error.code == "permit_late":
            return (type(error), *self.surely_failed)
        return self.surely_failed


class RunCommon:
    """Id, token and standing of a run."""

    def __init__(self, state: State, wait: float, plan_approval: str, opened: bool) -> None:
        self._state = state
        self._default_wait = wait
        self._opened = opened
        #: Id of the request about its plan, if people are asked.
        self.plan_approval: str | None = plan_approval or None

    @property
    def id(self) -> str:
        """Id of the run (`run_…`)."""
        return self._state.run

    @property
    def agent(self) -> str:
        """Agent whose run it is."""
        return self._state.agent

    @property
    def token(self) -> str:
        """Token of the run as it is now: for another process of yours (`aecl.resume`), never for the model."""
        return self._state.token

    def _wait(self, wait: float | None) -> float:
        return self._default_wait if wait is None else wait

    def _may_close(self) -> bool:
        if not self._opened:
            return False
        if not self._state.owner:
            raise Unauthorized("forbidden", "only whoever has opened a run may close it")
        return True

    def waits(self) -> bool:
        """Whether people were asked in it by this process and have not answered as far as it knows."""
        return bool(self._state.waiting) or self.plan_approval is not None

    def __repr__(self) -> str:
        # Not the token, which must not stand in logs.
        return f"<{type(self).__name__} {self.id} of {self.agent}>"


class Permit:
    """Leave to act by hand, once, with exactly `arguments`."""

    def __init__(self, permit: _flow.Permit) -> None:
        self._permit = permit
        self.said: Handed | None = None

    @property
    def action(self) -> str:
        """Action on record (`act_…`)."""
        return self._permit.action

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments that were judged, anew at each time. Raises `Unavailable` once the permit has run out."""
        self._permit.check()
        return self._permit.judged.read()

    def done(self, output: Any = None) -> None:
        """Says that it happened, and what came out."""
        text, code, words = output_of(output, None)
        self.said = ("done", text, code, words)

    def failed(self, why: str, code: str = "failed") -> None:
        """Says that it surely did not happen."""
        self.said = ("failed", None, code, why)

    def unknown(self, why: str) -> None:
        """Says that nobody knows whether it happened."""
        self.said = ("unknown", None, "unknown", why)

    def ended(self) -> Handed:
        """What is reported at the end: unknown, if nothing was said."""
        return self.said or ("unknown", None, "nothing_said", "the block ended and did not say what came of it")


def opening(
    at: Place,
    agent: str,
    goal: str,
    plan: Any,
    user: str | None,
    tenant: str | None,
    project: str | None,
    environment: str | None,
    ttl_s: int | None,
    approve_plan: bool,
    plan_wait: float,
) -> dict[str, Any]:
    """Body that opens a run."""
    if not at.owner:
        raise Unauthorized(
            "token_missing",
            f"{at.url} opens runs for the key of an orchestrator, and there is none",
            hint="`aecl keys add orchestrator NAME --agent AGENT` makes one; give it as token= or AECL_TOKEN",
        )
    words: dict[str, Any] = {"agent": agent, "goal": goal}
    if plan is not None:
        words["plan"] = {"steps": plan} if isinstance(plan, list) else plan
    if approve_plan:
        words["approve_plan"] = True
        words["wait_s"] = int(plan_wait)
    maybe = {"user": user, "tenant": tenant, "project": project, "environment": environment, "ttl_s": ttl_s}
    words.update({name: value for name, value in maybe.items() if value is not None})
    return words


def resumed(at: Place, run: str | None, token: str | None) -> State:
    """State of a run that another process has opened."""
    token = token or os.environ.get("AECL_TOKEN") or ""
    run = run or os.environ.get("AECL_RUN")
    if not token or token.startswith("aecl_"):
        raise Unauthorized(
            "token_missing",
            "to go on with a run takes the token of the run",
            hint="give `run.token` of the process that has opened it, as token= or AECL_TOKEN",
        )
    try:
        named = _wire.text(_wire.claims(token), "run")
    except Error:
        raise Unauthorized("token_invalid", "this is no token of a run") from None
    if run is not None and run != named:
        raise Invalid("request_invalid", f"the token is one of `{named}`, and not of `{run}`")
    state = State(run=named, token=token, key=at.key, owner=at.owner)
    state.take(token)
    return state


def kept_open(run: RunCommon, error: BaseException | None) -> bool:
    """Whether a run outlives its block: an answer of people that comes later must find it."""
    return isinstance(error, Pending) or run.waits()
