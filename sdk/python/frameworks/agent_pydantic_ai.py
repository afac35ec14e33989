"""An agent of Pydantic AI, with its `FunctionModel`."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

import aecl
from aecl.pydantic_ai import AECL
from order import Order, Played, Tools, main


def returns(messages: list[ModelMessage]) -> list[str]:
    parts = [part for message in messages for part in message.parts]
    return [str(part.model_response_str()) for part in parts if isinstance(part, ToolReturnPart)]


def script(calls: list[dict[str, Any]]) -> FunctionModel:
    """Model that makes these calls in turn, as far as they have no result yet."""

    def says(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        done = len(returns(messages))
        if done == len(calls):
            return ModelResponse(parts=[TextPart("ended")])
        one = calls[done]
        return ModelResponse(parts=[ToolCallPart(one["name"], one["args"], one["id"])])

    return FunctionModel(says)


def built(order: Order, run: Any) -> tuple[Agent[None, Any], dict[str, Any]]:
    agent: Agent[None, Any] = Agent(
        script(order.calls),
        output_type=[str, DeferredToolRequests],
        tools=Tools(order).all(),
        capabilities=[AECL(run, execute=order.execute)],
    )
    if not order.state.exists():
        return agent, {"user_prompt": "Do it."}
    answer: Any = ToolDenied("The user said no.") if order.answer == "reject" else ToolApproved()
    if isinstance(order.answer, dict):
        answer = ToolApproved(override_args=order.answer)
    history = ModelMessagesTypeAdapter.validate_json(order.state.read_bytes())
    waits = {part.tool_call_id for part in history[-1].parts if isinstance(part, ToolCallPart)}
    return agent, {
        "message_history": history,
        "deferred_tool_results": DeferredToolResults(approvals=dict.fromkeys(waits, answer)),
    }


def played(order: Order, result: Any) -> Played:
    output = result.output
    told = returns(result.all_messages())
    if not isinstance(output, DeferredToolRequests):
        return Played(told, [], str(output))
    order.state.write_bytes(result.all_messages_json())
    held = [{**output.metadata[one.tool_call_id]["aecl"], "args": one.args_as_dict()} for one in output.approvals]
    return Played(told, held, "")


def play(order: Order) -> Played:
    if order.coroutines:
        return asyncio.run(in_coroutines(order))
    # Pydantic AI uses the loop of the thread, and would leave one that it has made itself.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        with aecl.Client(url=order.url) as client:
            agent, words = built(order, client.resume(token=order.token))
            return played(order, agent.run_sync(**words))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def in_coroutines(order: Order) -> Played:
    async with aecl.AsyncClient(url=order.url) as client:
        agent, words = built(order, await client.resume(token=order.token))
        return played(order, await agent.run(**words))


if __name__ == "__main__":
    main(play)
