"""Microsoft Agent Framework."""

from __future__ import annotations

import agent_agent_framework
from scenarios import Scenarios


class TestAgentFramework(Scenarios):
    agent = "agent_framework"
    play = staticmethod(agent_agent_framework.play)
    modes = ((True, True), (False, True))
    # A response says yes or no.
    edits = False
