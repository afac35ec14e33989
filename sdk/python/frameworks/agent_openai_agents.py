"""An agent of the OpenAI Agents SDK, with the SDK's own scripted model."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from agents import Agent, Runner, RunState, function_tool, set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message, function_call

import aecl
from aecl._frameworks import shown
from aecl.openai_agents import guarded, settled
from order import Order, Played, Tools, main

set_tracing_disabled(True)


async def in_run(order: Order, run: Any) -> Played:
    made, words, held = 0, "Do it.", []
    if order.state.exists():
        made, kept = json.loads(order.state.read_text())
    steps = [[function_call(one["name"], one["args"], call_id=one["id"])] for one in order.calls[made:]]
    model = ScriptedModel([*steps, [assistant_message("ended")]])
    tools = guarded(
        [function_tool(one) for one in Tools(order).all()],
        run,
        execute=order.execute,
        on_pending=lambda pending: held.append({**shown(pending), "args": pending.arguments}),
    )
    agent: Agent[Any] = Agent(name="clerk", model=model, tools=[*tools])
    start: Any = words
    if made:
        start = await RunState.from_string(agent, kept)
        if order.answer == "approve" and not order.approves:
            await settled(start)
        for one in start.get_interruptions():
            if order.answer == "reject":
                start.reject(one, rejection_message="The user said no.")
            elif order.approves:
                start.approve(one)
    result = await Runner.run(agent, start)
    if result.interruptions:
        order.state.write_text(json.dumps([made + len(model.calls), result.to_state().to_string()]))
    outputs = [dict(one) for one in result.to_input_list() if dict(one).get("type") == "function_call_output"]
    return Played([str(one["output"]) for one in outputs], held, str(result.final_output or ""))


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
