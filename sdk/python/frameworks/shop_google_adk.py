"""The reader's own program, for the page of Google ADK."""

from typing import Any

from google.adk.agents import LlmAgent
from google.adk.runners import Runner
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.genai import types

from agent_google_adk import APP, CONFIRM, Script
from shop_common import CALLS, keep, kept, transfer_funds

model = Script(calls=CALLS)


async def say(agent: LlmAgent, words: str | types.Part) -> None:
    sessions = SqliteSessionService("sessions.db")
    if await sessions.get_session(**APP, session_id="one") is None:
        await sessions.create_session(**APP, session_id="one")
    runner = Runner(agent=agent, app_name="shop", session_service=sessions)
    part = types.Part(text=words) if isinstance(words, str) else words
    message = types.Content(role="user", parts=[part])
    async for event in runner.run_async(user_id="ann", session_id="one", new_message=message):
        for asked in event.actions.requested_tool_confirmations.values():
            print(asked.hint)
        if event.content is not None and event.content.parts and event.content.parts[-1].text:
            print(event.content.parts[-1].text)


async def confirm(agent: LlmAgent, response: dict[str, Any]) -> None:
    session = await SqliteSessionService("sessions.db").get_session(**APP, session_id="one")
    events = session.events if session is not None else []
    (asked,) = (call for event in events for call in event.get_function_calls() if call.name == CONFIRM)
    await say(
        agent,
        types.Part(function_response=types.FunctionResponse(id=asked.id, name=CONFIRM, response=response)),
    )


__all__ = ["confirm", "keep", "kept", "model", "say", "transfer_funds"]
