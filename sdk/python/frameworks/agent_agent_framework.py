"""An agent of the Microsoft Agent Framework, with a client that says what it is told to say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from agent_framework import (
    Agent,
    AgentSession,
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    Content,
    FunctionInvocationLayer,
    Message,
)

import aecl
from aecl.agent_framework import AECLMiddleware
from order import Order, Played, Tools, main


class Script(FunctionInvocationLayer[Any], ChatMiddlewareLayer[Any], BaseChatClient[Any]):
    """Client that makes the calls of an order in turn, as far as they have no result yet."""

    def __init__(self, calls: list[dict[str, Any]]) -> None:
        super().__init__()
        self.calls = calls
        self.told: dict[Any, str] = {}

    async def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **rest: Any
    ) -> ChatResponse:
        contents = [one for message in messages for one in message.contents]
        self.told = {one.call_id: str(one.result) for one in contents if one.type == "function_result"}
        said = [Content.from_text("ended")]
        if len(self.told) < len(self.calls):
            call = self.calls[len(self.told)]
            said = [Content.from_function_call(call["id"], call["name"], arguments=call["args"])]
        return ChatResponse(messages=[Message(role="assistant", contents=said)])


async def in_run(order: Order, run: Any) -> Played:
    client = Script(order.calls)
    agent = Agent(client=client, tools=Tools(order).all(), middleware=[AECLMiddleware(run, execute=order.execute)])
    kept = json.loads(order.state.read_text()) if order.state.exists() else None
    session = AgentSession.from_dict(kept["session"]) if kept else agent.create_session()
    words: Any = "Do it."
    if kept:
        asked = Content.from_dict(kept["asked"])
        words = Message(role="user", contents=[asked.to_function_approval_response(order.answer == "approve")])
    response = await agent.run(words, session=session)
    held = [dict(one.additional_properties["aecl"]) for one in response.user_input_requests]
    if held:
        asked = response.user_input_requests[0]
        order.state.write_text(json.dumps({"session": session.to_dict(), "asked": asked.to_dict()}))
        arguments = asked.function_call.parse_arguments() if asked.function_call else {}
        held = [{**one, "args": arguments} for one in held]
    results = [one for message in response.messages for one in message.contents if one.type == "function_result"]
    told = {**client.told, **{one.call_id: str(one.result) for one in results}}
    return Played([*told.values()], held, "" if held else response.text)


def play(order: Order) -> Played:
    return asyncio.run(in_coroutines(order))


async def in_coroutines(order: Order) -> Played:
    if order.threads:
        with aecl.Client(url=order.url) as client:
            return await in_run(order, client.resume(token=order.token))
    async with aecl.AsyncClient(url=order.url) as client:
        return await in_run(order, await client.resume(token=order.token))


if __name__ == "__main__":
    main(play)
