"""Pydantic AI: `Agent(model, output_type=[str, DeferredToolRequests], capabilities=[AECL(run)])`.

Every tool call is asked about before the tool is called. What waits for people ends the run with
`DeferredToolRequests`; a later run, in whatever process, goes on with `DeferredToolResults`, and asks again.
docs/guides/pydantic-ai.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, cast

from pydantic import ValidationError
from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering
from pydantic_ai.exceptions import ApprovalRequired
from pydantic_ai.messages import ModelResponse, ToolCallPart, ToolReturn
from pydantic_ai.tools import AgentDepsT
from pydantic_ai.toolsets import AbstractToolset, WrapperToolset
from pydantic_ai.toolsets.abstract import ToolsetTool
from pydantic_core import to_json, to_jsonable_python

from . import _json
from ._frameworks import AnyRun, Door, named, shown, told
from .errors import Error, Invalid, Pending


@dataclass(init=False)
class AECL(AbstractCapability[AgentDepsT], Generic[AgentDepsT]):
    """Capability that lets a tool be called only with a permit of AECL for exactly its arguments.

    `run`: the run to act in; left out, that of the innermost `with`. `execute`: tools that AECL carries out by its
    own connectors, whose functions here are never called. `actions`: names in the catalogue, where they are not those
    of the tools. Output tools, and tools that the provider of the model runs, do not pass here.
    """

    def __init__(
        self,
        run: AnyRun | None = None,
        *,
        execute: Collection[str] = (),
        actions: Mapping[str, str] | None = None,
    ) -> None:
        self._door = Door(run, execute, actions)

    def get_ordering(self) -> CapabilityOrdering:
        """Next to the tools: what stands between could change a call after it was judged."""
        return CapabilityOrdering(position="innermost")

    def get_wrapper_toolset(self, toolset: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        """The tools of the agent, each behind the door."""
        return _Guarded(toolset, self._door)


@dataclass
class _Guarded(WrapperToolset[AgentDepsT]):
    door: Door

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        async def act(judged: dict[str, Any]) -> Any:
            return await self.wrapped.call_tool(name, call.read(judged), ctx, tool)

        try:
            call = _Call(tool_args, ctx, tool)
            # Whether the framework holds it for approved does not matter: the yes that counts is in AECL.
            return (await self.door.aperform(name, call.arguments, act, call.id, _output)).output
        except Pending as held:
            raise ApprovalRequired(metadata={"aecl": shown(held)}) from None
        except Error as error:
            return told(error)


class _Call:
    """Arguments of a call as JSON, with the way back to what the tool takes."""

    def __init__(self, args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]) -> None:
        self._ctx, self._tool = ctx, tool
        self.arguments = self._plain(args)
        if self._plain(self.read(self.arguments)) != self.arguments:
            raise Invalid("arguments_unfit", f"the arguments of `{tool.tool_def.name}` do not read back as they were")
        self.id = named(ctx.tool_call_id)
        if (first := self._first()) is not None and first != self.arguments:
            # People have said other arguments (`override_args`): another question, so another key.
            self.id += f".{hashlib.sha256(_json.canonical(self.arguments)).hexdigest()[:16]}"

    def _plain(self, args: dict[str, Any]) -> dict[str, Any]:
        try:
            plain: dict[str, Any] = to_jsonable_python(args)
        except ValueError as error:
            raise Invalid("arguments_unfit", str(error)) from None
        shape: Any = self._tool.tool_def.parameters_json_schema.get("properties", {})
        if len(plain) == 1:
            # A model as the only parameter: the tool is called with its fields.
            (at, inner), *_ = plain.items()
            if at not in shape and type(inner) is dict:
                return cast("dict[str, Any]", inner)
        return plain

    def read(self, judged: dict[str, Any]) -> dict[str, Any]:
        """Arguments for the tool, read anew from those that were judged."""
        try:
            read = self._tool.args_validator.validate_json(to_json(judged), context=self._ctx.validation_context)
        except ValidationError as error:
            raise Invalid("arguments_unfit", str(error)) from None
        return cast("dict[str, Any]", read)

    def _first(self) -> dict[str, Any] | None:
        """Arguments that the model has said, where the history has them."""
        for message in reversed(self._ctx.messages):
            for part in message.parts if isinstance(message, ModelResponse) else ():
                if isinstance(part, ToolCallPart) and part.tool_call_id == self._ctx.tool_call_id:
                    try:
                        return self._plain(self.read(part.args_as_dict()))
                    except (ValueError, Invalid):
                        return None
        return None


def _output(result: Any) -> Any:
    """What is recorded of a result: what the model reads of it."""
    return to_jsonable_python(result.return_value if isinstance(result, ToolReturn) else result)


__all__ = ["AECL"]
