"""What `aecl` offers by name: clients, guards, errors, and the functions that use a client of their own."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ParamSpec, TypeVar, overload

from ._async import AsyncClient, AsyncGuarded, AsyncRun, Opening
from ._async import decorate as _decorate_async
from ._current import current as _current
from ._flow import Done
from ._shared import Permit, Settings
from ._sync import Client, Guarded, Run
from ._sync import decorate as _decorate
from .errors import (
    AlreadyDone,
    Blocked,
    Closed,
    Error,
    Expired,
    Failed,
    Finding,
    Invalid,
    NotDone,
    Pending,
    Refused,
    Rejected,
    Unauthorized,
    Unavailable,
    Underway,
    Unknown,
)
from .worker import Worker, WorkerCall, worker_call

__all__ = [
    "AlreadyDone",
    "AsyncClient",
    "AsyncGuarded",
    "AsyncRun",
    "Blocked",
    "Client",
    "Closed",
    "Done",
    "Error",
    "Expired",
    "Failed",
    "Finding",
    "Guarded",
    "Invalid",
    "NotDone",
    "Opening",
    "Pending",
    "Permit",
    "Refused",
    "Rejected",
    "Run",
    "Unauthorized",
    "Unavailable",
    "Underway",
    "Unknown",
    "Worker",
    "WorkerCall",
    "aguard",
    "aopen_run",
    "aresume",
    "current_run",
    "guard",
    "open_run",
    "resume",
    "worker_call",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_lock = threading.Lock()
_shared: Client | None = None


def _client() -> Client:
    """The client of the functions below, which goes by `AECL_URL` and `AECL_TOKEN`, or the home of this directory."""
    global _shared  # noqa: PLW0603
    with _lock:
        if _shared is None:
            _shared = Client()
            atexit.register(_shared.close)
        return _shared


def open_run(
    *,
    agent: str,
    goal: str,
    plan: Any = None,
    user: str | None = None,
    tenant: str | None = None,
    project: str | None = None,
    environment: str | None = None,
    ttl_s: int | None = None,
    approve_plan: bool = False,
    plan_wait: float = 0,
    wait: float = 0,
) -> Run:
    """Opens a run: one task of one agent. See `Client.open_run`."""
    return _client().open_run(
        agent=agent,
        goal=goal,
        plan=plan,
        user=user,
        tenant=tenant,
        project=project,
        environment=environment,
        ttl_s=ttl_s,
        approve_plan=approve_plan,
        plan_wait=plan_wait,
        wait=wait,
    )


def resume(run: str | None = None, token: str | None = None, *, wait: float = 0) -> Run:
    """Goes on with a run that another process has opened. See `Client.resume`."""
    return _client().resume(run, token, wait=wait)


def current_run() -> Run | AsyncRun | None:
    """The run of the innermost `with`, in which guards act here; nothing outside of one."""
    return _current.get()


def aopen_run(
    *,
    agent: str,
    goal: str,
    plan: Any = None,
    user: str | None = None,
    tenant: str | None = None,
    project: str | None = None,
    environment: str | None = None,
    ttl_s: int | None = None,
    approve_plan: bool = False,
    plan_wait: float = 0,
    wait: float = 0,
) -> Opening:
    """Opens a run for coroutines: `async with aecl.aopen_run(…) as run`. See `Client.open_run`."""
    client = AsyncClient()
    return client.open_run(
        agent=agent,
        goal=goal,
        plan=plan,
        user=user,
        tenant=tenant,
        project=project,
        environment=environment,
        ttl_s=ttl_s,
        approve_plan=approve_plan,
        plan_wait=plan_wait,
        wait=wait,
    ).owning(client)


def aresume(run: str | None = None, token: str | None = None, *, wait: float = 0) -> Opening:
    """Goes on, in coroutines, with a run that another process has opened. See `Client.resume`."""
    client = AsyncClient()
    return client.resume(run, token, wait=wait).owning(client)


@overload
def guard(name: Callable[_P, _R], /) -> Guarded[_P, _R]: ...
@overload
def guard(
    name: str | None = None,
    /,
    *,
    wait: float | None = None,
    compensate: Callable[[Done], Any] | None = None,
    lookup: Callable[..., Any] | None = None,
    surely_failed: tuple[type[Exception], ...] = (),
    unjudged: Sequence[str] = (),
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> Callable[[Callable[_P, _R]], Guarded[_P, _R]]: ...
def guard(name: Any = None, /, **options: Any) -> Any:
    """Guards a function in whatever run it is called: that of the innermost `with`. See `Run.guard`."""
    return _decorate(None, name, Settings(**options))


@overload
def aguard(name: Callable[_P, Awaitable[_R]], /) -> AsyncGuarded[_P, _R]: ...
@overload
def aguard(
    name: str | None = None,
    /,
    *,
    wait: float | None = None,
    compensate: Callable[[Done], Any] | None = None,
    lookup: Callable[..., Any] | None = None,
    surely_failed: tuple[type[Exception], ...] = (),
    unjudged: Sequence[str] = (),
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> Callable[[Callable[_P, Awaitable[_R]]], AsyncGuarded[_P, _R]]: ...
def aguard(name: Any = None, /, **options: Any) -> Any:
    """Guards a coroutine function in the run of the innermost `async with`. See `AsyncRun.guard`."""
    return _decorate_async(None, name, Settings(**options))


def _forget() -> None:
    # A child has connections of its own.
    global _shared  # noqa: PLW0603
    _shared = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

# What is named here belongs here: in messages, in documentation, and to whoever pickles an error.
for _name in __all__:
    _thing = globals()[_name]
    if isinstance(_thing, type):
        _thing.__module__ = "aecl"
