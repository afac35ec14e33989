"""The reader's own program, for the page of LangChain."""

import sqlite3

from langgraph.checkpoint.sqlite import SqliteSaver

from agent_langchain import Script
from shop_common import CALLS, keep, kept, transfer_funds

model = Script(calls=CALLS)
saver = SqliteSaver(sqlite3.connect("checkpoint.db", check_same_thread=False))

__all__ = ["keep", "kept", "model", "saver", "transfer_funds"]
