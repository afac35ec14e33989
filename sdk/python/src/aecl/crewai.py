"""CrewAI: `Agent(role=…, tools=guarded([transfer_funds, …], run))`.

Every tool is wrapped, so that each way on which CrewAI calls one passes here: its own hooks swallow what goes wrong
in them, and tell the model nothing. CrewAI has no interrupt from which another process goes on: what waits for people
is told to the model, and the same crew is started again after the yes. docs/guides/crewai.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, cast

from crewai.tools import BaseTool
from pydantic import PrivateAttr

from . import _json
from ._frameworks import AnyRun, Door, text, told
from .errors import Error, Pending


def guarded(
    tools: Iterable[BaseTool],
    run: AnyRun | None = None,
    *,
    execute: Collection[str] = (),
    actions: Mapping[str, str] | None = None,
    on_pending: Callable[[Pending], object] | None = None,
) -> list[BaseTool]:
    """The same tools, each of which is called only with a permit of AECL for exactly its arguments.

    `run`: the run to act in; left out, that of the innermost `with`. `execute`: tools that AECL carries out by its
    own connectors, whose functions here are never called. `actions`: names in the catalogue, where they are not those
    of the tools. `on_pending` hears of what waits, with the card and the address where it is answered.
    """
    door = Door(run, execute, actions)
    return [_guarded(tool, door, on_pending) for tool in tools]


def _guarded(tool: BaseTool, door: Door, on_pending: Callable[[Pending], object] | None) -> BaseTool:
    if not isinstance(cast(object, tool), BaseTool):
        raise TypeError(f"`{getattr(tool, 'name', tool)}` is no tool of CrewAI; wrap it as one")
    one = _Guarded(
        name=tool.name,
        description=tool.description,
        env_vars=tool.env_vars,
        args_schema=tool.args_schema,
        result_schema=tool.result_schema,
        # What is written there already is not written again.
        description_updated=True,
        cache_function=_never,
        result_as_answer=tool.result_as_answer,
        max_usage_count=tool.max_usage_count,
        tool_failure_policy=tool.tool_failure_policy,
    )
    one.description = tool.description
    one._tool, one._door, one._on_pending = tool, door, on_pending
    return one


def _never(*args: Any) -> bool:
    """An answer that waits, or a no, is none for the next time."""
    return False


class _Guarded(BaseTool):
    _tool: BaseTool = PrivateAttr()
    _door: Door = PrivateAttr()
    _on_pending: Callable[[Pending], object] | None = PrivateAttr(default=None)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        """Asks, then calls the tool, or says why not. Of CrewAI."""
        if args:
            raise TypeError(f"`{self.name}` is called with its arguments by name, as the model has given them")
        try:
            key = self._key(kwargs)
            done = self._door.perform(self.name, kwargs, lambda judged: _called(self._tool, judged), key)
        except Error as error:
            return self._said(error)
        return done.output if self._is_own(done.replayed) else text(done.output)

    async def _arun(self, *args: Any, **kwargs: Any) -> Any:
        """The same for coroutines. Of CrewAI."""
        if args:
            raise TypeError(f"`{self.name}` is called with its arguments by name, as the model has given them")

        async def act(judged: dict[str, Any]) -> Any:
            if type(self._tool)._arun is BaseTool._arun:
                return await asyncio.to_thread(_called, self._tool, judged)
            return await self._tool._arun(**judged)

        try:
            done = await self._door.aperform(self.name, kwargs, act, self._key(kwargs))
        except Error as error:
            return self._said(error)
        return done.output if self._is_own(done.replayed) else text(done.output)

    def _is_own(self, replayed: bool) -> bool:
        return not replayed and not self._door.executes(self.name)

    def _key(self, arguments: Mapping[str, Any]) -> str:
        """CrewAI gives calls no name. So the same call happens once in a run, whichever agent or process makes it."""
        said = self.name.encode("utf-8") + b"\0" + _json.canonical(dict(arguments))
        return f"crewai-{hashlib.sha256(said).hexdigest()}"

    def _said(self, error: Error) -> str:
        if isinstance(error, Pending) and self._on_pending is not None:
            self._on_pending(error)
        return told(error)


def _called(tool: BaseTool, judged: dict[str, Any]) -> Any:
    value = tool._run(**judged)
    return asyncio.run(value) if inspect.iscoroutine(value) else value


__all__ = ["guarded"]
