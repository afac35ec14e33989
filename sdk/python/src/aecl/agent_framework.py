"""Microsoft Agent Framework: `Agent(client=…, tools=[…], middleware=[AECLMiddleware(run)])`.

Every function call is asked about before the function is invoked. What waits for people is the framework's own
approval request; when it is answered, in whatever process, AECL is asked again. docs/guides/agent-framework.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, cast

from agent_framework import (
    Content,
    FunctionInvocationContext,
    FunctionMiddleware,
    MiddlewareFailure,
    MiddlewareTermination,
)

from ._frameworks import AnyRun, Door, named, shown, text, told
from .errors import Error, Invalid, Pending


class AECLMiddleware(FunctionMiddleware):
    """Middleware that lets a function be invoked only with a permit of AECL for exactly its arguments.

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
        self._door = Door(run, execute, actions)

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        """Asks, then invokes the function, or says why not. Of the framework."""
        name = context.function.name

        async def act(judged: dict[str, Any]) -> Any:
            context.arguments = judged
            await call_next()
            return context.result

        try:
            call_id = named(context.metadata.get("call_id"))
            done = await self._door.aperform(name, _arguments(context), act, call_id, _output)
        except Pending as held:
            context.result = _request(context, held)
            raise MiddlewareTermination("it waits for people") from None
        except Error as error:
            try:
                context.result = told(error)
            except Error as raised:
                # What only the program around it can put right ends the run.
                raise MiddlewareFailure(str(raised)) from raised
            return
        if done.replayed or self._door.executes(name):
            context.result = text(done.output)


def _arguments(context: FunctionInvocationContext) -> dict[str, Any]:
    given = cast("Any", context.arguments)
    if hasattr(given, "model_dump"):
        given = given.model_dump(mode="json", exclude_unset=True)
    if not isinstance(given, Mapping):
        raise Invalid("arguments_not_object", "arguments are an object: a name for each value")
    return dict(cast("Mapping[str, Any]", given))


def _request(context: FunctionInvocationContext, held: Pending) -> Content:
    """The framework's own request for approval. Bound to the call by its id, it goes on with it."""
    answered: Any = context.metadata.get("approval_response")
    call = getattr(answered, "function_call", None) or Content.from_function_call(
        context.metadata["call_id"],
        context.function.name,
        id=context.metadata.get("function_call_occurrence_id"),
        arguments=_arguments(context),
    )
    return Content.from_function_approval_request(
        id=getattr(answered, "id", None) or call.id or context.metadata["call_id"],
        function_call=call,
        additional_properties={"reason": held.card, "aecl": shown(held)},
    )


def _output(result: Any) -> Any:
    """What is recorded of a result: what the model reads of it."""
    if not isinstance(result, list):
        return result
    said = [one.text if isinstance(one, Content) and one.type == "text" else str(one) for one in result]
    return said[0] if len(said) == 1 else said


__all__ = ["AECLMiddleware"]
