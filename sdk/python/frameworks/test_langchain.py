"""LangChain and LangGraph."""

from __future__ import annotations

import agent_langchain
from scenarios import Scenarios


class TestLangChain(Scenarios):
    agent = "langchain"
    play = staticmethod(agent_langchain.play)
    modes = ((True, False), (False, True))
