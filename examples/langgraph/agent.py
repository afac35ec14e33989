"""An agent of LangChain that pays a vendor. Run again, it goes on from its checkpoint, in a new process.

    agent.py DIRECTORY      keeps the checkpoint, the ticket of the run and the bank's book in there

The model is a script, so nothing here needs a network; a real one goes in its place.
"""

import json
import sys
from pathlib import Path

import aecl
from aecl.langchain import AECLMiddleware
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

ROOM = Path(sys.argv[1])
TICKET, BOOK = ROOM / "ticket", ROOM / "book"
CONFIG = {"configurable": {"thread_id": "invoices"}}


def transfer_funds(to: str, amount: str, currency: str) -> dict[str, str]:
    """Transfer money to a vendor."""
    with BOOK.open("a") as book:
        book.write(f"{amount} {currency} to {to}\n")
    return {"id": "tr-1"}


class Script(BaseChatModel):
    """Model that pays, then reads what came of it."""

    _llm_type = "script"

    def bind_tools(self, tools, **rest):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **rest):
        said = AIMessage(f"The model has read: {messages[-1].content}")
        if not isinstance(messages[-1], ToolMessage):
            args = {"to": "vendor-7", "amount": "950.00", "currency": "EUR"}
            said = AIMessage("", tool_calls=[{"name": "transfer_funds", "args": args, "id": "call_1"}])
        return ChatResult(generations=[ChatGeneration(message=said)])


def run_of_this_task() -> aecl.Run:
    if TICKET.exists():
        # For this program, and never for the model: whoever has it may propose in this run.
        return aecl.resume(**json.loads(TICKET.read_text()))
    run = aecl.open_run(agent="assistant", goal="Pay the invoices that are due.")
    TICKET.touch(0o600)
    TICKET.write_text(json.dumps({"run": run.id, "token": run.token}))
    return run


with SqliteSaver.from_conn_string(str(ROOM / "checkpoint.db")) as saver:
    agent = create_agent(
        Script(), [transfer_funds], middleware=[AECLMiddleware(run_of_this_task())], checkpointer=saver
    )
    # `approve` says no more than that it is time to look again; the yes that counts is in AECL.
    begun = agent.get_state(CONFIG).next
    words = Command(resume={"type": "approve"}) if begun else {"messages": [("user", "Pay vendor-7 950 EUR.")]}
    state = agent.invoke(words, CONFIG)
    for asked in state.get("__interrupt__", ()):
        print("held", asked.value["aecl"]["approval"])
        sys.exit()
    print("ended", state["messages"][-1].content)
