"""What adapters for frameworks have in common: in which run a tool acts, by which name, and what the model is told.

An adapter calls `perform` or `aperform` where the framework would call its tool. Whatever else comes out of it than
the tool's own result means that the tool was not called, unless it is `Unknown`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeAlias

from ._async import AsyncRun
from ._current import current, no_run
from ._flow import Done
from ._sync import Run
from .errors import Error, Invalid, Pending, Unauthorized

#: Run that an adapter acts in; left out, that of the innermost `with` where the tool is called.
AnyRun: TypeAlias = "Run | AsyncRun"


class ToolError(Exception):
    """A tool has returned an error as its result. What came of it nobody knows, and so it is reported."""

    def __init__(self, result: Any, said: str) -> None:
        super().__init__(said)
        self.result = result


class Door:
    """The one way of an adapter to its tools."""

    def __init__(self, run: AnyRun | None, execute: Collection[str], actions: Mapping[str, str] | None) -> None:
        if isinstance(execute, str):
            raise TypeError("`execute` is a list of names of tools")
        self._run = run
        self._execute = frozenset(execute)
        self._actions = dict(actions or {})

    def _found(self, tool: str) -> AnyRun:
        run = self._run if self._run is not None else current.get()
        if run is None:
            raise no_run(tool, "with aecl.open_run(…)")
        return run

    def run_id(self, tool: str) -> str:
        """Id of the run that a tool would act in."""
        return self._found(tool).id

    def executes(self, tool: str) -> bool:
        """Whether AECL carries it out."""
        return tool in self._execute

    def perform(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        act: Callable[[dict[str, Any]], Any],
        call_id: str | None,
        encode: Callable[[Any], Any] | None = None,
    ) -> Done:
        """Has a tool carried out: by `act`, or by AECL where it is one of `execute`."""
        run, name = self._found(tool), self._actions.get(tool, tool)
        if not isinstance(run, Run):
            raise no_run(tool, "with aecl.open_run(…)")
        if tool in self._execute:
            return run.execute(name, arguments, call_id=call_id)
        return run.perform(name, arguments, act, call_id=call_id, encode=encode)

    async def aperform(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        act: Callable[[dict[str, Any]], Awaitable[Any]],
        call_id: str | None,
        encode: Callable[[Any], Any] | None = None,
    ) -> Done:
        """The same for coroutines, in a run of either kind."""
        run, name = self._found(tool), self._actions.get(tool, tool)
        if isinstance(run, Run):
            async with run.as_async() as same:
                return await self._in(same, tool, name, arguments, act, call_id, encode)
        return await self._in(run, tool, name, arguments, act, call_id, encode)

    async def _in(
        self,
        run: AsyncRun,
        tool: str,
        name: str,
        arguments: Mapping[str, Any],
        act: Callable[[dict[str, Any]], Awaitable[Any]],
        call_id: str | None,
        encode: Callable[[Any], Any] | None,
    ) -> Done:
        if tool in self._execute:
            return await run.execute(name, arguments, call_id=call_id)
        return await run.perform(name, arguments, act, call_id=call_id, encode=encode)


def named(call_id: object) -> str:
    """Id of a model's call. Without one a step that is run again could not be told from a second one."""
    if not isinstance(call_id, str) or not call_id:
        raise Invalid("request_invalid", "the framework gives no id of the call, and it could not be done only once")
    return call_id


def told(error: Error) -> str:
    """What the model is told of an error. What only the program around it can put right is raised instead."""
    if isinstance(error, Unauthorized) or error.code == "no_run":
        raise error
    return error.for_model


def shown(held: Pending) -> dict[str, Any]:
    """What people are shown of a call that waits: a pointer to the request, and never the answer to it."""
    return {"approval": held.approval, "url": held.url, "expires_at": held.expires_at, "card": held.card}


def text(output: Any) -> str:
    """Output that is on record, as text for the model."""
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
