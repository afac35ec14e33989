"""The OpenAI Agents SDK."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from agents import ToolGuardrailFunctionOutput, WebSearchTool, function_tool, tool_input_guardrail

import aecl
import agent_openai_agents
from aecl.openai_agents import guarded
from house import House
from order import Order, call, world
from scenarios import PAY, Scenarios


@tool_input_guardrail
def never(data: Any) -> ToolGuardrailFunctionOutput:
    return ToolGuardrailFunctionOutput.reject_content("The guardrail said no.")


class TestOpenAIAgents(Scenarios):
    agent = "openai_agents"
    play = staticmethod(agent_openai_agents.play)
    modes = ((True, True), (False, True))
    # An interruption is approved or rejected there; it has no other arguments.
    edits = False

    def test_an_approval_of_the_sdk_alone_lets_nothing_through(self, house: House, order: Order) -> None:
        """The SDK asks no more once it has a yes of its own; AECL is asked all the same."""
        step = call("call_1", "transfer_funds", **PAY)
        held = self.played(order, step).held[0]
        kept = order.state.read_bytes()
        played = self.played(order, step, answer="approve", approves=True)
        assert world(order) == []
        assert "waits for a person" in played.told[0]
        house.yes(held["approval"])
        order.state.write_bytes(kept)
        self.played(replace(order), step, answer="approve", approves=True)
        assert [one["does"] for one in world(order)] == ["transfer_funds"]

    def test_a_permit_that_a_guardrail_leaves_unused_is_reported_as_not_done(
        self, house: House, run: aecl.Run, order: Order, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def guarded_too(one: Any) -> Any:
            return function_tool(one, tool_input_guardrails=[never])

        monkeypatch.setattr(agent_openai_agents, "function_tool", guarded_too)
        played = self.played(order, call("call_1", "write_note", text="a"))
        assert world(order) == []
        assert played.told == ["The guardrail said no."]
        assert house.last(run.id)["state"] == "failed"

    def test_a_text_that_a_tool_makes_of_an_exception_is_no_success(
        self, house: House, run: aecl.Run, order: Order, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def with_text(one: Any) -> Any:
            return function_tool(one, failure_error_function=lambda context, error: f"It went wrong: {error}")

        monkeypatch.setattr(agent_openai_agents, "function_tool", with_text)
        played = self.played(order, call("call_1", "tag_note", text="a", tag="b"))
        assert played.told == ["It went wrong: 'no such note'"]
        assert house.last(run.id)["state"] == "unknown"

    def test_what_openai_runs_itself_is_refused(self) -> None:
        tools: Any = [WebSearchTool()]
        with pytest.raises(TypeError, match="web_search"):
            guarded(tools)
