"""The reader's own program, for the page of CrewAI."""

from crewai import Crew
from crewai.tools import BaseTool, tool

import agent_crewai
import shop_common
from shop_common import CALLS, keep, kept

transfer_funds = tool("transfer_funds")(shop_common.transfer_funds)


def crew(tools: list[BaseTool]) -> Crew:
    return agent_crewai.crew(agent_crewai.Script(model="script", calls=CALLS), tools)


__all__ = ["crew", "keep", "kept", "transfer_funds"]
