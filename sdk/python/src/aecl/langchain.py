"""LangChain and LangGraph: `create_agent(model, tools, middleware=[AECLMiddleware(run)], checkpointer=…)`.

Every tool call is asked about before the tool is called. What waits for people is a LangGraph interrupt, in the form
of LangChain's own `tool_approval`; the graph goes on from its checkpoint, in whatever process.
docs/guides/langchain.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Annotated, Any, cast

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.human_in_the_loop import (
    ApproveDecision,
    EditDecision,
    RejectDecision,
    RespondDecision,
)
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.types import Command, interrupt
from pydantic import BaseModel, Discriminator, ValidationError

from ._flow import Done
from ._frameworks import AnyRun, Door, ToolError, named, shown, text, told
from .errors import Error, Pending

Result = ToolMessage | Command[Any]
_Decision = Annotated[ApproveDecision | EditDecision | RejectDecision | RespondDecision, Discriminator("type")]


class AECLMiddleware(AgentMiddleware[Any, Any, Any]):
    """Middleware that lets a tool be called only with a permit of AECL for exactly its arguments.

    `run`: the run to act in; left out, that of the innermost `with`. `execute`: tools that AECL carries out by its
    own connectors, whose functions here are never called. `actions`: names in the catalogue, where they are not those
    of the tools. List it last: what stands behind it could change a call after it was judged.
    """

    def __init__(
        self,
        run: AnyRun | None = None,
        *,
        execute: Collection[str] = (),
        actions: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._door = Door(run, execute, actions)

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Result]) -> Result:
        """Asks, then calls the tool, or says why not. Of LangChain."""
        call = _Call(request)
        if call.ended is not None:
            return call.ended
        try:
            return call.result(
                self._door.perform(call.name, call.args, lambda to: _done(handler(call.to(to))), call.id, _output)
            )
        except Pending as held:
            raise call.interruption(held) from None
        except (Error, ToolError) as error:
            return call.told(error)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Result]]
    ) -> Result:
        """The same for coroutines. Of LangChain."""
        call = _Call(request)
        if call.ended is not None:
            return call.ended

        async def act(to: dict[str, Any]) -> Result:
            return _done(await handler(call.to(to)))

        try:
            return call.result(await self._door.aperform(call.name, call.args, act, call.id, _output))
        except Pending as held:
            raise call.interruption(held) from None
        except (Error, ToolError) as error:
            return call.told(error)


class _Call:
    """One call of the model, with what people have answered to its interrupts so far.

    LangGraph runs the step from its beginning for each answer. So the answers are read first, all of them: otherwise
    a no, or other arguments, would come after a permit for what was asked at first.
    """

    def __init__(self, request: ToolCallRequest) -> None:
        self.request = request
        self.name: str = request.tool_call["name"]
        self.args: dict[str, Any] = request.tool_call["args"]
        self.id = named(request.tool_call["id"])
        self.ended: ToolMessage | None = None
        edits = 0
        while self.ended is None and (answer := _answered()) is not None:
            if answer["type"] == "edit":
                edited = answer["edited_action"]
                if edited["name"] != self.name:
                    self.ended = self.message(f"Refused: `{self.name}` cannot become another tool.", "error")
                edits += 1
                # Another question, so another key. It is the same one whenever the step is run again.
                self.args, self.id = edited["args"], f"{request.tool_call['id']}.edit{edits}"
            elif answer["type"] == "reject":
                why = answer.get("message") or "no reason was given"
                self.ended = self.message(f"The user said no: {why}. Nothing was executed.", "error")
            elif answer["type"] == "respond":
                self.ended = self.message(answer["message"], "success")
            # `approve` says that it is time to look again. The yes that counts is in AECL.
        if self.ended is None and (wrong := _misfit(request, self.args)) is not None:
            self.ended = self.message(f"The call is wrong: {wrong}. Nothing was executed.", "error")

    def to(self, judged: dict[str, Any]) -> ToolCallRequest:
        """The request with the arguments that were judged."""
        return self.request.override(tool_call={**self.request.tool_call, "args": judged})

    def message(self, content: Any, status: Any) -> ToolMessage:
        return ToolMessage(
            content=content, name=self.name, tool_call_id=self.request.tool_call["id"] or "", status=status
        )

    def result(self, done: Done) -> Result:
        if isinstance(done.output, (ToolMessage, Command)):
            return done.output
        output: Any = done.output
        return self.message(output if isinstance(output, list) and _blocks(output) else text(output), "success")

    def told(self, error: Error | ToolError) -> Result:
        return error.result if isinstance(error, ToolError) else self.message(told(error), "error")

    def interruption(self, held: Pending) -> BaseException:
        """What LangGraph has to see rise. The answers so far are read, so this one has none yet."""
        value = {
            "type": "tool_approval",
            "tool_call_id": self.request.tool_call["id"],
            "name": self.name,
            "args": held.arguments,
            "description": held.card,
            "aecl": shown(held),
        }
        try:
            interrupt(value, response_schema=cast("Any", _Decision))
        except GraphBubbleUp as rises:
            return rises
        return RuntimeError(f"LangGraph did not interrupt for `{self.name}`; nothing was executed")


def _answered() -> Any:
    """The next answer of people to this step, or nothing. An interrupt that does not rise asks nobody."""
    try:
        return interrupt("AECL reads the answers so far", response_schema=cast("Any", _Decision))
    except GraphInterrupt:
        return None


def _misfit(request: ToolCallRequest, args: dict[str, Any]) -> str | None:
    """Why the tool would not take these arguments. It is found out first, so that nobody is asked for nothing."""
    schema = request.tool.tool_call_schema if request.tool is not None else None
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        try:
            schema.model_validate(args)
        except ValidationError as error:
            return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return None


def _done(result: Result) -> Result:
    """The result of a tool that did what it was to do."""
    if isinstance(result, ToolMessage) and result.status == "error":
        raise ToolError(result, str(result.content))
    return result


def _output(result: Result) -> Any:
    """What is recorded of a result: what the model reads of it."""
    if isinstance(result, ToolMessage):
        return cast("Any", result.content)
    update = result.update if isinstance(result.update, dict) else {}
    return [cast("Any", one.content) for one in update.get("messages", []) if isinstance(one, ToolMessage)]


def _blocks(output: list[Any]) -> bool:
    return bool(output) and all(isinstance(one, str) or (isinstance(one, dict) and "type" in one) for one in output)


__all__ = ["AECLMiddleware"]
