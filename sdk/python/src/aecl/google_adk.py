"""Google ADK: `LlmAgent(name=…, model=…, tools=guarded([transfer_funds, …], run))`.

Every tool call is asked about before the tool is run. What waits for people is ADK's own tool confirmation; when it
is confirmed, in whatever process, AECL is asked again. docs/guides/google-adk.md.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias

from google.adk.tools.base_tool import BaseTool
from google.adk.tools.function_tool import FunctionTool
from google.adk.tools.tool_context import ToolContext

from ._frameworks import AnyRun, Door, named, shown, told
from .errors import Error, Pending

Tool: TypeAlias = "BaseTool | Callable[..., Any]"


def guarded(
    tools: Iterable[Tool],
    run: AnyRun | None = None,
    *,
    execute: Collection[str] = (),
    actions: Mapping[str, str] | None = None,
) -> list[BaseTool]:
    """The same tools, each of which is run only with a permit of AECL for exactly its arguments.

    `run`: the run to act in; left out, that of the innermost `with`. `execute`: tools that AECL carries out by its
    own connectors, whose functions here are never called. `actions`: names in the catalogue, where they are not those
    of the tools. Functions that stream, toolsets, and tools that Google runs cannot be guarded: a `TypeError`.
    """
    door = Door(run, execute, actions)
    return [_guarded(tool, door) for tool in tools]


def _guarded(given: Tool, door: Door) -> BaseTool:
    tool = given
    if not isinstance(given, BaseTool) and inspect.isroutine(given):
        tool = FunctionTool(given)
    if not isinstance(tool, BaseTool):
        kind = type(given).__name__
        raise TypeError(f"`{kind}` is no tool: guard the tools in it, or put `aecl mcp` in front of its server")
    inner = getattr(tool, "func", None)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise TypeError(f"`{tool.name}` streams: ADK does not run it as a tool, so its calls cannot be guarded")
    if type(tool).run_async is BaseTool.run_async:
        raise TypeError(f"`{tool.name}` is run by the model's provider, and not in this process")
    one = copy.copy(tool)
    # ADK has no other way to run a tool, and its own confirmations and callbacks come before it.
    one.run_async = _Calls(tool, door).run_async  # type: ignore[method-assign]
    return one


class _Calls:
    """The calls of one tool."""

    def __init__(self, tool: BaseTool, door: Door) -> None:
        self._tool, self._door = tool, door

    async def run_async(self, *, args: dict[str, Any], tool_context: ToolContext) -> Any:
        """Runs the tool with what was judged, or says why not. Of ADK."""
        answer = tool_context.tool_confirmation
        if answer is not None and not answer.confirmed:
            return {"error": "The user said no. Nothing was executed."}

        async def act(judged: dict[str, Any]) -> Any:
            return await self._tool.run_async(args=judged, tool_context=tool_context)

        try:
            call_id = named(tool_context.function_call_id)
            return (await self._door.aperform(self._tool.name, args, act, call_id)).output
        except Pending as held:
            if answer is not None:
                # ADK asks only once. The run ends here; the same confirmation, said again later, finds the answer.
                raise
            tool_context.request_confirmation(hint=held.card, payload={"aecl": shown(held)})
            tool_context.actions.skip_summarization = True
            return {"error": held.for_model}
        except Error as error:
            return {"error": told(error)}


__all__ = ["guarded"]
