"""CrewAI."""

from __future__ import annotations

import pytest

import agent_crewai
from scenarios import Scenarios


# CrewAI warns of itself.
@pytest.mark.filterwarnings("ignore")
class TestCrewAI(Scenarios):
    agent = "crewai"
    play = staticmethod(agent_crewai.play)
    modes = ((True, False), (True, True))
    # There is nothing in the framework to answer: the same crew is started again.
    answers = False
    edits = False
