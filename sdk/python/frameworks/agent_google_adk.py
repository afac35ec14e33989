"""An agent of Google ADK, with a model that says what it is told to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from google.adk.agents import LlmAgent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.genai import types

import aecl
from aecl._frameworks import shown
from aecl.google_adk import guarded
from order import Order, Played, Tools, main

APP: Any = {"app_name": "shop", "user_id": "ann"}
CONFIRM = "adk_request_confirmation"


class Script(BaseLlm):
    """Model that makes the calls of an order in turn, as far as they have no result yet."""

    model: str = "script"
    calls: list[dict[str, Any]]

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        parts = [part for content in llm_request.contents for part in content.parts or []]
        done = len({part.function_response.id for part in parts if part.function_response})
        part = types.Part(text="ended")
        if done < len(self.calls):
            part = types.Part(function_call=types.FunctionCall(**self.calls[done]))
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


def answer(order: Order, events: list[Any]) -> types.Content:
    """What the user says: words, or whether a call is confirmed."""
    asked = [call for event in events for call in event.get_function_calls() if call.name == CONFIRM]
    if not asked:
        return types.Content(role="user", parts=[types.Part(text="Do it.")])
    said = types.FunctionResponse(
        id=asked[-1].id, name=CONFIRM, response={"confirmed": order.answer == "approve", "payload": None}
    )
    return types.Content(role="user", parts=[types.Part(function_response=said)])


async def in_run(order: Order, run: Any) -> Played:
    sessions = SqliteSessionService(str(order.state))
    tools = guarded(Tools(order).all(), run, execute=order.execute)
    agent = LlmAgent(name="clerk", model=Script(calls=order.calls), tools=[*tools])
    session = await sessions.get_session(**APP, session_id="one") or await sessions.create_session(
        **APP, session_id="one"
    )
    runner = Runner(agent=agent, app_name="shop", session_service=sessions)
    held, words = [], answer(order, session.events)
    try:
        async for event in runner.run_async(user_id="ann", session_id="one", new_message=words):
            for asked in event.actions.requested_tool_confirmations.values():
                held.append({**(asked.payload or {})["aecl"], "args": {}})
    except aecl.Pending as still:
        held.append({**shown(still), "args": still.arguments})
    session = await sessions.get_session(**APP, session_id="one") or session
    # What was said first of a call that waits gives way to what came of it.
    told: dict[str, str] = {}
    for event in session.events:
        told.update({str(one.id): str(one.response) for one in event.get_function_responses() if one.name != CONFIRM})
    content = session.events[-1].content
    said = content.parts[-1].text if content is not None and content.parts else None
    return Played([*told.values()][: len(told) - len(held)], held, str(said or ""))


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
