"""The reader's own program, for the page of the Microsoft Agent Framework."""

import json
from typing import Any

from agent_framework import AgentSession, Content, Message

from agent_agent_framework import Script
from shop_common import CALLS, kept, transfer_funds
from shop_common import keep as keep_texts

client = Script(CALLS)


def keep(token: str, session: AgentSession, asked: Any) -> None:
    keep_texts(token, json.dumps({"session": session.to_dict(), "asked": asked.to_dict()}).encode())


def waiting() -> tuple[str, AgentSession, Message]:
    token, texts = kept()
    of = json.loads(texts)
    answer = Content.from_dict(of["asked"]).to_function_approval_response(True)
    return token, AgentSession.from_dict(of["session"]), Message(role="user", contents=[answer])


__all__ = ["client", "keep", "transfer_funds", "waiting"]
