"""Pydantic AI."""

from __future__ import annotations

import agent_pydantic_ai
from scenarios import Scenarios


class TestPydanticAI(Scenarios):
    agent = "pydantic_ai"
    play = staticmethod(agent_pydantic_ai.play)
    modes = ((True, False), (False, True))
    # What was said once is not kept: other arguments are said with each answer.
    edits_again = True
