"""A crew of CrewAI, with a model that says what it is told to say."""

from __future__ import annotations

import asyncio
import json
import os
import warnings
from typing import Any

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", OTEL_SDK_DISABLED="true", CREWAI_TRACING_ENABLED="false")

with warnings.catch_warnings():
    # Its own modules forbid what an import does to them.
    warnings.simplefilter("ignore")
    from crewai import Agent, Crew, Task
    from crewai.llms.base_llm import BaseLLM
    from crewai.tools import BaseTool, tool

from pydantic import Field

import aecl
from aecl._frameworks import shown
from aecl.crewai import guarded
from order import Order, Played, Tools, main


class Script(BaseLLM):
    """Model that makes the calls of an order in turn, as far as they have no result yet."""

    calls: list[dict[str, Any]]
    told: list[str] = Field(default_factory=list)

    def call(self, messages: Any, *args: Any, **rest: Any) -> str:
        # The first two say what there is to do, and how to say it.
        said = "\n".join(str(one.get("content")) for one in messages[2:])
        self.told = [part.split("\n\nThought:")[0].strip() for part in said.split("\nObservation:")[1:]]
        if len(self.told) < len(self.calls):
            one = self.calls[len(self.told)]
            return f"Thought: do it\nAction: {one['name']}\nAction Input: {json.dumps(one['args'])}"
        return "Thought: I know the final answer\nFinal Answer: ended"

    def supports_function_calling(self) -> bool:
        return False


def crew(model: Script, tools: list[BaseTool]) -> Crew:
    who = {"role": "clerk", "goal": "Look after the shop.", "backstory": "A clerk."}
    clerk = Agent(**who, llm=model, tools=tools, cache=False)
    return Crew(agents=[clerk], tasks=[Task(description="Do it.", expected_output="An answer.", agent=clerk)])


def in_run(order: Order, run: Any) -> Played:
    held: list[aecl.Pending] = []
    own = [tool(fn.__name__)(fn) for fn in Tools(order).all()]
    model = Script(model="script", calls=order.calls)
    made = crew(model, guarded(own, run, execute=order.execute, on_pending=held.append))
    result = asyncio.run(made.kickoff_async()) if order.coroutines else made.kickoff()
    waits = {one.approval: {**shown(one), "args": one.arguments} for one in held}
    return Played(model.told, list(waits.values()), "" if waits else str(result))


def play(order: Order) -> Played:
    with aecl.Client(url=order.url) as client:
        return in_run(order, client.resume(token=order.token))


if __name__ == "__main__":
    main(play)
