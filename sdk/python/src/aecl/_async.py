"""Runs and guards for coroutines; the same names as in `_sync`, and the same flows."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import Token
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from . import _exit, _flow
from ._current import current, left, no_run
from ._flow import Done, State
from ._shared import Handed, Permit, RunCommon, Settings, kept_open, opening, resumed
from ._spec import Spec, arguments_of, begun, meaning, output_of
from ._transport import AsyncLine, place
from .errors import Error, NotDone, Unknown

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_log = logging.getLogger("aecl")
#: How long a report is tried while a task is being cancelled, in seconds.
_HURRY_S = 5.0


class AsyncClient:
    """Client of one server, for one event loop. See `Client`.

    The server is looked for, and started if need be, when the first run is opened.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        token: str | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        self._url, self._token, self._directory = url, token, directory
        self._found: AsyncLine | None = None
        self._finding = asyncio.Lock()

    async def _line(self) -> AsyncLine:
        async with self._finding:
            if self._found is None:
                at = await asyncio.to_thread(place, self._url, self._token, self._directory)
                self._found = AsyncLine(at)
            return self._found

    def open_run(
        self,
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
        """Opens a run: `async with client.open_run(…) as run`, or `run = await client.open_run(…)`. See `Client`."""

        async def opened() -> AsyncRun:
            line = await self._line()
            at = line.at
            words = opening(at, agent, goal, plan, user, tenant, project, environment, ttl_s, approve_plan, plan_wait)
            state, asked = await line.drive(_flow.open_run(at.key, at.owner, words, plan_wait))
            return AsyncRun(self, line, state, wait, asked, opened=True)

        return Opening(opened())

    def resume(self, run: str | None = None, token: str | None = None, *, wait: float = 0) -> Opening:
        """Goes on with a run that another process has opened, by its id and token (`AECL_RUN`, `AECL_TOKEN`)."""

        async def again() -> AsyncRun:
            line = await self._line()
            state = resumed(line.at, run, token or self._token)
            await line.drive(_flow.look_at_run(state))
            return AsyncRun(self, line, state, wait, "", opened=False)

        return Opening(again())

    async def close(self) -> None:
        """Closes the connections. Runs stay as they are."""
        if self._found is not None:
            await self._found.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()


class Opening:
    """Run that is about to be opened: to be awaited, or to be entered."""

    def __init__(self, opens: Coroutine[Any, Any, AsyncRun], owned: AsyncClient | None = None) -> None:
        self._opens, self._owned = opens, owned
        self._run: AsyncRun | None = None

    def owning(self, client: AsyncClient) -> Opening:
        """The same; the connections of this client end with the run."""
        self._owned = client
        return self

    def __await__(self) -> Generator[Any, None, AsyncRun]:
        return self._opened().__await__()

    async def _opened(self) -> AsyncRun:
        try:
            run = await self._opens
        except BaseException:
            if self._owned is not None:
                await self._owned.close()
            raise
        run._owned = self._owned
        return run

    async def __aenter__(self) -> AsyncRun:
        self._run = await self._opened()
        return await self._run.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._run is not None:
            await self._run.__aexit__(kind, error, at)


class AsyncRun(RunCommon):
    """Run of an agent: what is guarded in it is judged, recorded, and done once."""

    def __init__(
        self, client: AsyncClient, line: AsyncLine, state: State, wait: float, plan_approval: str, *, opened: bool
    ) -> None:
        super().__init__(state, wait, plan_approval, opened)
        self._client, self._line = client, line
        self._owned: AsyncClient | None = None
        self._entered: list[Token[Any]] = []
        self._to_undo: list[tuple[Done, Callable[[Done], Any]]] = []

    @overload
    def guard(self, name: Callable[P, Awaitable[R]], /) -> AsyncGuarded[P, R]: ...
    @overload
    def guard(
        self,
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
    ) -> Callable[[Callable[P, Awaitable[R]]], AsyncGuarded[P, R]]: ...
    def guard(self, name: Any = None, /, **options: Any) -> Any:
        """Guards a coroutine function. See `Run.guard`; `compensate` and `lookup` may be coroutines."""
        return decorate(self, name, Settings(**options))

    async def execute(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        call_id: str | None = None,
        wait: float | None = None,
        resume: bool = False,
    ) -> Done:
        """Has AECL carry an action out by its connector. `resume`: after a yes it goes on without this process."""
        flow = _flow.execute(self._state, name, arguments_of(arguments), call_id, self._wait(wait), resume)
        return await self._line.drive(flow)

    @asynccontextmanager
    async def action(
        self, name: str, arguments: Mapping[str, Any], *, call_id: str | None = None, wait: float | None = None
    ) -> AsyncGenerator[Permit]:
        """Asks for leave to act, for whoever acts by hand: `async with run.action(name, args) as permit:`.

        See `Run.action`.
        """
        got = await self._authorize(name, arguments_of(arguments), call_id, wait)
        if isinstance(got, Done):
            raise _flow.recorded(got)
        permit = Permit(got)
        try:
            yield permit
        except BaseException as error:
            outcome, code, said = meaning(error, ())
            if permit.said is None:
                permit.said = (outcome, None, code, said)
            await self._report_after(error, got, permit.said)
            raise
        await self._report(got, permit.ended())

    async def perform(
        self,
        name: str,
        arguments: Mapping[str, Any],
        act: Callable[[dict[str, Any]], Awaitable[Any]],
        *,
        call_id: str | None = None,
        wait: float | None = None,
        surely_failed: tuple[type[Exception], ...] = (),
        encode: Callable[[Any], Any] | None = None,
    ) -> Done:
        """Carries out a call that a framework hands over. See `Run.perform`."""
        got = await self._authorize(name, arguments_of(arguments), call_id, wait)
        if isinstance(got, Done):
            return got
        settings = Settings(surely_failed=surely_failed)
        try:
            got.check()
            value = await act(got.judged.read())
            begun(value, name)
        except BaseException as error:
            outcome, code, words = meaning(error, settings.sure(error))
            await self._report_after(error, got, (outcome, None, code, words))
            raise
        output, unsaid, words = output_of(value, encode)
        try:
            await self._report(got, ("done", output, unsaid, words))
        except Unknown as error:
            error.output = value
            raise
        return Done(got.action, name, got.judged.read(), value)

    async def undo(self) -> list[Done]:
        """Undoes what guards with `compensate` have done here, the latest first. See `Run.undo`."""
        undone: list[Done] = []
        while self._to_undo:
            done, compensate = self._to_undo[-1]
            await _maybe_awaited(compensate(done))
            self._to_undo.pop()
            undone.append(done)
        return undone

    async def look(self) -> dict[str, Any]:
        """What is on record about the run: state, labels, calls (docs/reference/http.md)."""
        return await self._line.drive(_flow.look_at_run(self._state))

    async def close(self, reason: str = "done") -> None:
        """Ends the run. What waits in it is over. Only where it was opened."""
        if self._may_close():
            await self._line.drive(_flow.close_run(self._state, reason))

    async def __aenter__(self) -> AsyncRun:
        self._entered.append(current.set(self))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        left(self._entered.pop())
        if self._entered:
            return
        try:
            if not kept_open(self, error):
                await self.close("done" if error is None else f"ended with {type(error).__name__}")
        except Error as wrong:
            # It ends by itself after its time, and what matters to the caller is what the block came to.
            _log.warning("the run %s could not be closed: %s", self.id, wrong.message)
        finally:
            if self._owned is not None:
                await self._owned.close()

    # What guards need of it.

    async def _authorize(
        self, name: str, judged: _flow.Judged, call_id: str | None, wait: float | None
    ) -> _flow.Permit | Done:
        got = await self._line.drive(_flow.authorize(self._state, name, judged, call_id, self._wait(wait)))
        if isinstance(got, _flow.Permit):
            _exit.begun(got.action, self._state, self._line.at)
        return got

    async def _report(self, permit: _flow.Permit, said: Handed, tries_s: float | None = None) -> None:
        if not permit.ours:
            return
        tries_s = _flow.REPORT_S if tries_s is None else tries_s
        outcome, output, code, words = said
        flow = _flow.report(self._state, permit.action, outcome, output, code, words, tries_s)
        # A task of its own: whoever is cancelled now has acted already, and that has to be said.
        telling = asyncio.ensure_future(self._line.drive(flow))
        cancelled: asyncio.CancelledError | None = None
        while not telling.done():
            try:
                await asyncio.shield(telling)
            except asyncio.CancelledError as error:
                if telling.cancelled():
                    raise
                cancelled = error
            except Unknown:
                break
        try:
            telling.result()
        except Unknown:
            _exit.ended(permit.action)
            raise
        _exit.ended(permit.action)
        if cancelled is not None:
            raise cancelled

    async def _report_after(self, error: BaseException, permit: _flow.Permit, said: Handed) -> None:
        """Reports while an exception goes on its way. An ordinary one gives way to the news that nobody knows."""
        ordinary = isinstance(error, Exception)
        try:
            await self._report(permit, said, None if ordinary else _HURRY_S)
        except Unknown as unknown:
            if ordinary:
                raise unknown from error
            _log.error("%s", unknown)


class AsyncGuarded(Generic[P, R]):
    """Guarded coroutine function. It is called as the function is."""

    def __init__(self, fn: Callable[P, Awaitable[R]], name: str, run: AsyncRun | None, settings: Settings) -> None:
        functools.update_wrapper(self, fn)
        self.action = name
        self._fn, self._run, self._settings = fn, run, settings
        self._spec = Spec(fn, settings.unjudged)
        self._call_id: str | None = None
        self._waits = settings.wait

    def once(self, call_id: str, *, wait: float | None = None) -> AsyncGuarded[P, R]:
        """The same function for one call of the model. See `Guarded.once`."""
        one = copy.copy(self)
        one._call_id = call_id
        one._waits = self._waits if wait is None else wait
        return one

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        run = self._run if self._run is not None else current.get()
        if not isinstance(run, AsyncRun):
            raise no_run(self.action, "async with aecl.aopen_run(…)")
        judged, beside = self._spec.judge(args, kwargs)
        got = await run._authorize(self.action, judged, self._call_id, self._waits)
        if isinstance(got, Done):
            self._to_undo(run, got)
            decode = self._settings.decode
            return cast("R", got.output if decode is None else decode(got.output))
        return await self._act(run, got, beside)

    async def _act(self, run: AsyncRun, permit: _flow.Permit, beside: dict[str, Any]) -> R:
        try:
            permit.check()
            value = await cast("Callable[..., Awaitable[R]]", self._fn)(**self._spec.read(permit.judged), **beside)
            begun(value, self.action)
        except BaseException as error:
            said: Handed
            outcome, code, words = meaning(error, self._settings.sure(error))
            if outcome == "unknown" and self._settings.lookup is not None and isinstance(error, Exception):
                try:
                    found = await _maybe_awaited(self._settings.lookup(**self._spec.read(permit.judged)))
                except NotDone:
                    outcome = "failed"
                except Exception as unfound:
                    words += f"; and it could not be looked up: {type(unfound).__name__}: {unfound}"
                else:
                    return await self._tell(run, permit, cast("R", found))
            said = (outcome, None, code, words)
            await run._report_after(error, permit, said)
            raise
        return await self._tell(run, permit, value)

    async def _tell(self, run: AsyncRun, permit: _flow.Permit, value: R) -> R:
        output, code, words = output_of(value, self._settings.encode)
        try:
            await run._report(permit, ("done", output, code, words))
        except Unknown as error:
            error.output = value
            raise
        self._to_undo(run, Done(permit.action, permit.name, permit.judged.read(), value))
        return value

    def _to_undo(self, run: AsyncRun, done: Done) -> None:
        if self._settings.compensate is not None:
            undo = run._to_undo
            if all(before.action != done.action for before, _ in undo):
                undo.append((done, self._settings.compensate))


async def _maybe_awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def decorate(run: AsyncRun | None, name: Any, settings: Settings) -> Any:
    """Guarded coroutine function, or the decorator that makes it. A plain function runs in a thread."""

    def make(fn: Callable[..., Any], called: str | None) -> AsyncGuarded[..., Any]:
        action = called or fn.__name__
        if inspect.iscoroutinefunction(fn):
            return AsyncGuarded(fn, action, run, settings)

        @functools.wraps(fn)
        async def in_thread(*args: Any, **kwargs: Any) -> Any:
            return await _maybe_awaited(await asyncio.to_thread(fn, *args, **kwargs))

        return AsyncGuarded(in_thread, action, run, settings)

    if callable(name):
        return make(name, None)

    def decorator(fn: Callable[..., Any]) -> AsyncGuarded[..., Any]:
        return make(fn, name)

    return decorator
