"""Google ADK."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from google.adk.tools.google_search_tool import google_search

import agent_google_adk
from aecl.google_adk import guarded
from scenarios import Scenarios


async def streams(page: str) -> AsyncGenerator[str, None]:
    yield page


class TestGoogleADK(Scenarios):
    agent = "google_adk"
    play = staticmethod(agent_google_adk.play)
    modes = ((True, True), (False, True))
    # A confirmation says yes or no.
    edits = False

    @pytest.mark.parametrize("tool", [streams, google_search, object()])
    def test_what_adk_would_not_run_as_a_tool_is_refused(self, tool: Any) -> None:
        with pytest.raises(TypeError):
            guarded([tool])
