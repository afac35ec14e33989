"""OpenAI Agents SDK: `Agent(name=…, tools=guarded([transfer_funds, …], run))`.

Every tool call is asked about before the tool is invoked. What waits for people is an interruption of the run;
whoever goes on with its `RunState`, in whatever process, asks again, and the answer of AECL is what counts.
docs/guides/openai-agents.md.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, cast

from agents import (
    FunctionTool,
    RunContextWrapper,
    RunState,
    ToolApprovalItem,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolInputGuardrailData,
)
from agents.tool import maybe_invoke_function_tool_failure_error_function
from agents.tool_context import ToolContext

from . import _json
from ._flow import Done
from ._frameworks import AnyRun, Door, named, text, told
from .errors import Error, Invalid, NotDone, Pending

#: How long a permit is kept for a call that the SDK may still give up, in seconds. It counts for 60.
_KEPT_S = 30.0


def guarded(
    tools: Iterable[FunctionTool],
    run: AnyRun | None = None,
    *,
    execute: Collection[str] = (),
    actions: Mapping[str, str] | None = None,
    on_pending: Callable[[Pending], object] | None = None,
) -> list[FunctionTool]:
    """The same tools, each of which is invoked only with a permit of AECL for exactly its arguments.

    `run`: the run to act in; left out, that of the innermost `with`. `execute`: tools that AECL carries out by its
    own connectors, whose functions here are never called. `actions`: names in the catalogue, where they are not those
    of the tools. `on_pending` hears of what waits, with the address where it is answered: an interruption of the SDK
    has no place for it. Tools that OpenAI runs itself (web search, hosted MCP, …) cannot be guarded, and are a
    `TypeError`.
    """
    door = Door(run, execute, actions)
    return [_guarded(tool, door, on_pending) for tool in tools]


async def settled(state: RunState[Any, Any]) -> list[ToolApprovalItem]:
    """Reads the answers of AECL to what waits in a run: `if not await settled(state): await Runner.run(agent,
    state)`.

    What people have answered goes on: with a yes the tool is invoked, with a no the model reads why not. What
    they have not answered is given back.
    """
    waiting: list[ToolApprovalItem] = []
    for item in state.get_interruptions():
        invoker: Any = next((tool.on_invoke_tool for tool in _tools(item) if tool.name == item.tool_name), None)
        calls = getattr(invoker, "__self__", None)
        if not isinstance(calls, _Calls):
            # Not one of ours: whoever made it answers it.
            waiting.append(item)
            continue
        try:
            waits = await calls.waits(_arguments(item.arguments), item.call_id)
        except Invalid:
            # The model is told so where the tool would be invoked.
            waits = False
        if waits:
            waiting.append(item)
        else:
            state.approve(item)
    return waiting


def _tools(item: ToolApprovalItem) -> list[FunctionTool]:
    return [tool for tool in item.agent.tools if isinstance(tool, FunctionTool)]


def _guarded(tool: FunctionTool, door: Door, on_pending: Callable[[Pending], object] | None) -> FunctionTool:
    if not isinstance(cast(object, tool), FunctionTool):
        raise TypeError(f"`{getattr(tool, 'name', tool)}` is no function tool: it is not invoked in this process")
    one = copy.copy(tool)
    calls = _Calls(tool, door, on_pending)
    one.on_invoke_tool, one.needs_approval = calls.invoke, calls.needs_approval
    if one.tool_input_guardrails:
        one.tool_input_guardrails = [calls.watched(guardrail) for guardrail in one.tool_input_guardrails]
    return one


class _Calls:
    """The calls of one tool. They are asked about where the SDK asks whether they need approval."""

    def __init__(self, tool: FunctionTool, door: Door, on_pending: Callable[[Pending], object] | None) -> None:
        self._tool, self._door, self._on_pending = tool, door, on_pending
        # Its own handler would make a text of an exception, and what failed would be reported as done.
        self._raising = copy.copy(tool)
        self._raising._failure_error_function = None
        self._raising._use_default_failure_error_function = False
        self._asked: dict[tuple[str, str, bytes], _Ask] = {}

    async def needs_approval(self, context: RunContextWrapper[Any], args: dict[str, Any], call_id: str) -> bool:
        """Whether the SDK has to interrupt. Of the SDK."""
        own: Any = self._tool.needs_approval
        if await own(context, args, call_id) if callable(own) else own:
            # Of the tool itself; AECL is asked when it was approved.
            return True
        return await self.waits(args, call_id)

    async def waits(self, args: dict[str, Any], call_id: str | None) -> bool:
        """Whether people have to answer first. Any other answer of AECL is kept for the invocation."""
        key, ask = self._ask(args, call_id)
        if (held := await ask.waits()) is not None:
            if self._on_pending is not None:
                self._on_pending(held)
            return True
        self._asked[key] = ask
        return False

    async def invoke(self, context: ToolContext[Any], said: str) -> Any:
        """Invokes the tool with what was judged, or says why not. Of the SDK."""
        try:
            _, ask = self._ask(_arguments(said), context.tool_call_id)
            done = await ask.carried_out(
                lambda judged: self._raising.on_invoke_tool(context, json.dumps(judged, ensure_ascii=False))
            )
        except Error as error:
            return told(error)
        except _Failed as failed:
            why = cast("Exception", failed.__cause__)
            result = await maybe_invoke_function_tool_failure_error_function(
                function_tool=self._tool, context=context, error=why
            )
            if result is None:
                raise why from None
            return result
        return text(done.output) if done.replayed or self._door.executes(self._tool.name) else done.output

    def watched(self, guardrail: ToolInputGuardrail[Any]) -> ToolInputGuardrail[Any]:
        """The same guardrail, which comes after AECL was asked: where it says no, the permit is given back."""

        async def run(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
            try:
                output = await guardrail.run(data)
            except BaseException:
                await self._give_back(data.context.tool_call_id)
                raise
            if output.behavior["type"] != "allow":
                await self._give_back(data.context.tool_call_id)
            return output

        return ToolInputGuardrail(guardrail_function=run, name=guardrail.get_name())

    async def _give_back(self, call_id: str) -> None:
        for key in [key for key in self._asked if key[1] == call_id]:
            await self._asked.pop(key).given_back()

    def _ask(self, args: dict[str, Any], call_id: str | None) -> tuple[tuple[str, str, bytes], _Ask]:
        key = (self._door.run_id(self._tool.name), named(call_id), _json.canonical(args))
        ask = self._asked.pop(key, None)
        return key, ask or _Ask(self._door, self._tool.name, args, key[1])


class _Failed(Exception):
    """The tool itself ended with an exception, which is the cause."""


class _Ask:
    """A call that was put to AECL in a task of its own. With a permit, it waits for the SDK to invoke the tool."""

    def __init__(self, door: Door, tool: str, args: dict[str, Any], call_id: str) -> None:
        loop = asyncio.get_running_loop()
        self._judged: asyncio.Future[dict[str, Any]] = loop.create_future()
        self._taken = asyncio.Event()
        self._given_back = False
        self._came: asyncio.Future[Any] = loop.create_future()
        self._task = asyncio.ensure_future(door.aperform(tool, args, self._act, call_id))
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _act(self, judged: dict[str, Any]) -> Any:
        self._judged.set_result(judged)
        try:
            await asyncio.wait_for(self._taken.wait(), _KEPT_S)
        except BaseException as error:
            # The run has ended before that.
            raise NotDone("the SDK did not invoke the tool") from error
        if self._given_back:
            raise NotDone("a guardrail of the SDK said no")
        return await self._came

    async def given_back(self) -> None:
        """Says that the permit, if there is one, was not used."""
        self._given_back = True
        self._taken.set()
        await asyncio.wait([self._task])

    async def _settled(self) -> None:
        both: list[asyncio.Future[Any]] = [self._task, self._judged]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)

    async def waits(self) -> Pending | None:
        """What waits for people, if it does. Every other answer is for whoever carries it out."""
        await self._settled()
        error = self._task.exception() if self._task.done() else None
        return error if isinstance(error, Pending) else None

    async def carried_out(self, tool: Callable[[dict[str, Any]], Awaitable[Any]]) -> Done:
        """Calls the tool, where there is a permit, and gives what is on record of it."""
        await self._settled()
        if self._task.done():
            return self._task.result()
        self._taken.set()
        try:
            value = await tool(self._judged.result())
        except BaseException as error:
            self._came.set_exception(error if isinstance(error, Exception) else _Ended(repr(error)))
            await asyncio.wait([self._task])
            unsaid = self._task.exception()
            if isinstance(unsaid, Error):
                raise unsaid from error
            if isinstance(error, Exception):
                raise _Failed from error
            raise
        self._came.set_result(value)
        return await self._task


class _Ended(Exception):
    """The tool was cancelled or interrupted, and nobody knows how far it came."""


def _arguments(said: str | None) -> dict[str, Any]:
    """Arguments of a call as the model has written them."""
    try:
        read = json.loads(said or "{}", object_pairs_hook=_once)
    except ValueError as error:
        raise Invalid("json_invalid", f"the arguments are no JSON with a single meaning: {error}") from None
    if type(read) is not dict:
        raise Invalid("arguments_not_object", "arguments are an object: a name for each value")
    return cast("dict[str, Any]", read)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


__all__ = ["guarded", "settled"]
