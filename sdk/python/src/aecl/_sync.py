"""Runs and guards for threads. `_async` has the same names for coroutines."""

from __future__ import annotations

import copy
import functools
import inspect
import logging
import os
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from . import _exit, _flow
from ._current import current, left, no_run
from ._flow import Done, State
from ._shared import Handed, Permit, RunCommon, Settings, kept_open, opening, resumed
from ._spec import Spec, arguments_of, begun, meaning, output_of
from ._transport import AsyncLine, Line, Place, place
from .errors import AlreadyDone, Error, NotDone, Unknown

if TYPE_CHECKING:
    from ._async import AsyncRun

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("aecl")
#: How long a report is tried while the process is being told to end, in seconds.
_HURRY_S = 5.0


class Client:
    """Client of one server, for threads.

    `url` and `token` (an orchestrator's key) point it at a shared server; left out, `AECL_URL` and `AECL_TOKEN` do.
    With neither, the home of this directory (or `directory`) is served, by a process that is started if need be.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        token: str | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        self._at: Place = place(url, token, directory)
        self._token = token
        self._line = Line(self._at)

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
    ) -> Run:
        """Opens a run: one task of one agent. Use it in a `with`, whose end closes it unless something still waits.

        `wait`: for how many seconds its guards wait for people before they raise `Pending`.
        """
        words = opening(
            self._at, agent, goal, plan, user, tenant, project, environment, ttl_s, approve_plan, plan_wait
        )
        state, asked = self._line.drive(_flow.open_run(self._at.key, self._at.owner, words, plan_wait))
        return Run(self, state, wait, asked, opened=True)

    def resume(self, run: str | None = None, token: str | None = None, *, wait: float = 0) -> Run:
        """Goes on with a run that another process has opened, by its id and token (`AECL_RUN`, `AECL_TOKEN`)."""
        state = resumed(self._at, run, token or self._token)
        self._line.drive(_flow.look_at_run(state))
        return Run(self, state, wait, "", opened=False)

    def close(self) -> None:
        """Closes the connections. Runs stay as they are."""
        self._line.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


class Run(RunCommon):
    """Run of an agent: what is guarded in it is judged, recorded, and done once."""

    def __init__(self, client: Client, state: State, wait: float, plan_approval: str, *, opened: bool) -> None:
        super().__init__(state, wait, plan_approval, opened)
        self._client = client
        self._entered: list[Token[Any]] = []
        self._to_undo: list[tuple[Done, Callable[[Done], Any]]] = []

    @overload
    def guard(self, name: Callable[P, R], /) -> Guarded[P, R]: ...
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
    ) -> Callable[[Callable[P, R]], Guarded[P, R]]: ...
    def guard(self, name: Any = None, /, **options: Any) -> Any:
        """Guards a function: `@run.guard`, `@run.guard("transfer_funds", …)` or `run.guard(fn)`.

        A call is proposed as the action of this name (by default the function's), waits or raises `Pending`, and the
        function is called only with a permit for exactly these arguments. What it returns is reported.

        `compensate(done)` undoes it in `run.undo()`, by calling guarded functions. `lookup(**arguments)` finds out
        what became of an attempt that ended with an exception: it returns what the function would have, or raises
        `NotDone`. `surely_failed`: exceptions after which surely nothing has happened. `unjudged`: parameters that
        AECL never sees. `encode` and `decode`: how what it returns becomes JSON, and comes back from the record.
        """
        return decorate(self, name, Settings(**options))

    def execute(
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
        return self._client._line.drive(flow)

    @contextmanager
    def action(
        self, name: str, arguments: Mapping[str, Any], *, call_id: str | None = None, wait: float | None = None
    ) -> Generator[Permit]:
        """Asks for leave to act, for whoever acts by hand: `with run.action(name, args) as permit:`.

        The body acts with `permit.arguments`, then says `permit.done(output)` or `permit.failed(why)`. A body that
        says nothing, or ends with an exception, has ended as unknown. `AlreadyDone` if this call id was done before.
        """
        got = self._authorize(name, arguments_of(arguments), call_id, wait)
        if isinstance(got, Done):
            raise _flow.recorded(got)
        permit = Permit(got)
        try:
            yield permit
        except BaseException as error:
            outcome, code, said = meaning(error, ())
            if permit.said is None:
                permit.said = (outcome, None, code, said)
            self._report_after(error, got, permit.said)
            raise
        self._report(got, permit.ended())

    def perform(
        self,
        name: str,
        arguments: Mapping[str, Any],
        act: Callable[[dict[str, Any]], Any],
        *,
        call_id: str | None = None,
        wait: float | None = None,
        surely_failed: tuple[type[Exception], ...] = (),
        encode: Callable[[Any], Any] | None = None,
    ) -> Done:
        """Carries out a call that a framework hands over: `run.perform(tool, args, act, call_id=…)`.

        It knows a tool by its name and its arguments by a mapping. `act` is called as a guarded
        function would be, with the arguments that were judged; what it returns is the `output`, and is reported as
        `encode` makes JSON of it. If this call id was done before, `act` is not called: `replayed`, with the output
        that is on record.
        """
        got = self._authorize(name, arguments_of(arguments), call_id, wait)
        if isinstance(got, Done):
            return got
        settings = Settings(surely_failed=surely_failed)
        try:
            got.check()
            value = act(got.judged.read())
            begun(value, name)
        except BaseException as error:
            outcome, code, words = meaning(error, settings.sure(error))
            self._report_after(error, got, (outcome, None, code, words))
            raise
        output, unsaid, words = output_of(value, encode)
        try:
            self._report(got, ("done", output, unsaid, words))
        except Unknown as error:
            error.output = value
            raise
        return Done(got.action, name, got.judged.read(), value)

    @asynccontextmanager
    async def as_async(self) -> AsyncGenerator[AsyncRun]:
        """The same run for coroutines: `async with run.as_async() as same:`, for as long as the block lasts.

        It has connections of its own, and shares the token, which each of them renews for both.
        """
        from ._async import AsyncClient, AsyncRun

        line = AsyncLine(self._client._line.at)
        try:
            yield AsyncRun(AsyncClient(), line, self._state, self._default_wait, "", opened=False)
        finally:
            await line.close()

    def undo(self) -> list[Done]:
        """Undoes what guards with `compensate` have done here, the latest first. Stops at the first that cannot be.

        Gives what was undone. Asked again it goes on from there.
        """
        undone: list[Done] = []
        while self._to_undo:
            done, compensate = self._to_undo[-1]
            compensate(done)
            self._to_undo.pop()
            undone.append(done)
        return undone

    def look(self) -> dict[str, Any]:
        """What is on record about the run: state, labels, calls (docs/reference/http.md)."""
        return self._client._line.drive(_flow.look_at_run(self._state))

    def close(self, reason: str = "done") -> None:
        """Ends the run. What waits in it is over. Only where it was opened."""
        if self._may_close():
            self._client._line.drive(_flow.close_run(self._state, reason))

    def __enter__(self) -> Run:
        self._entered.append(current.set(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        left(self._entered.pop())
        if self._entered or kept_open(self, error):
            return
        try:
            self.close("done" if error is None else f"ended with {type(error).__name__}")
        except Error as wrong:
            # It ends by itself after its time, and what matters to the caller is what the block came to.
            _log.warning("the run %s could not be closed: %s", self.id, wrong.message)

    # What guards need of it.

    def _authorize(
        self, name: str, judged: _flow.Judged, call_id: str | None, wait: float | None
    ) -> _flow.Permit | Done:
        line = self._client._line
        got = line.drive(_flow.authorize(self._state, name, judged, call_id, self._wait(wait)))
        if isinstance(got, _flow.Permit):
            _exit.begun(got.action, self._state, line.at)
        return got

    def _report(self, permit: _flow.Permit, said: Handed, tries_s: float | None = None) -> None:
        if not permit.ours:
            return
        tries_s = _flow.REPORT_S if tries_s is None else tries_s
        outcome, output, code, words = said
        line = self._client._line
        # Struck out only when it is known how it stands: an interrupt in between leaves it to the end of the process.
        try:
            line.drive(_flow.report(self._state, permit.action, outcome, output, code, words, tries_s))
        except Unknown:
            _exit.ended(permit.action)
            raise
        _exit.ended(permit.action)

    def _report_after(self, error: BaseException, permit: _flow.Permit, said: Handed) -> None:
        """Reports while an exception goes on its way. An ordinary one gives way to the news that nobody knows."""
        ordinary = isinstance(error, Exception)
        try:
            self._report(permit, said, None if ordinary else _HURRY_S)
        except Unknown as unknown:
            if ordinary:
                raise unknown from error
            _log.error("%s", unknown)


class Guarded(Generic[P, R]):
    """Guarded function. It is called as the function is."""

    def __init__(self, fn: Callable[P, R], name: str, run: Run | None, settings: Settings) -> None:
        functools.update_wrapper(self, fn)
        self.action = name
        self._fn, self._run, self._settings = fn, run, settings
        self._spec = Spec(fn, settings.unjudged)
        self._call_id: str | None = None
        self._waits = settings.wait

    def once(self, call_id: str, *, wait: float | None = None) -> Guarded[P, R]:
        """The same function for one call of the model: `transfer.once(tool_call_id)(to=…)`.

        The same call id gives the recorded result and never acts twice, in whatever process the step is run again.
        """
        one = copy.copy(self)
        one._call_id = call_id
        one._waits = self._waits if wait is None else wait
        return one

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        run = self._run if self._run is not None else current.get()
        if not isinstance(run, Run):
            raise no_run(self.action, "with aecl.open_run(…)")
        judged, beside = self._spec.judge(args, kwargs)
        got = run._authorize(self.action, judged, self._call_id, self._waits)
        if isinstance(got, Done):
            self._to_undo(run, got)
            decode = self._settings.decode
            return cast("R", got.output if decode is None else decode(got.output))
        return self._act(run, got, beside)

    def _act(self, run: Run, permit: _flow.Permit, beside: dict[str, Any]) -> R:
        try:
            permit.check()
            value = cast("Callable[..., R]", self._fn)(**self._spec.read(permit.judged), **beside)
            begun(value, self.action)
        except BaseException as error:
            said: Handed
            outcome, code, words = meaning(error, self._settings.sure(error))
            if outcome == "unknown" and self._settings.lookup is not None and isinstance(error, Exception):
                try:
                    value = cast("R", self._settings.lookup(**self._spec.read(permit.judged)))
                except NotDone:
                    outcome = "failed"
                except Exception as unfound:
                    words += f"; and it could not be looked up: {type(unfound).__name__}: {unfound}"
                else:
                    return self._tell(run, permit, value)
            said = (outcome, None, code, words)
            run._report_after(error, permit, said)
            raise
        return self._tell(run, permit, value)

    def _tell(self, run: Run, permit: _flow.Permit, value: R) -> R:
        output, code, words = output_of(value, self._settings.encode)
        try:
            run._report(permit, ("done", output, code, words))
        except Unknown as error:
            error.output = value
            raise
        self._to_undo(run, Done(permit.action, permit.name, permit.judged.read(), value))
        return value

    def _to_undo(self, run: Run, done: Done) -> None:
        if self._settings.compensate is not None:
            undo = run._to_undo
            if all(before.action != done.action for before, _ in undo):
                undo.append((done, self._settings.compensate))


def decorate(run: Run | None, name: Any, settings: Settings) -> Any:
    """Guarded function, or the decorator that makes it."""

    def make(fn: Callable[..., Any], called: str | None) -> Guarded[..., Any]:
        if inspect.iscoroutinefunction(fn):
            raise TypeError(f"`{fn.__name__}` is a coroutine; guard it with `aecl.aguard` or a run of `AsyncClient`")
        return Guarded(fn, called or fn.__name__, run, settings)

    if callable(name):
        return make(name, None)

    def decorator(fn: Callable[..., Any]) -> Guarded[..., Any]:
        return make(fn, name)

    return decorator


__all__ = ["AlreadyDone", "Client", "Guarded", "Run", "decorate"]
