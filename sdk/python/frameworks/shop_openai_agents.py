"""The reader's own program, for the page of the OpenAI Agents SDK."""

from pathlib import Path

from agents import function_tool, set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message, function_call

from shop_common import CALLS, keep, kept
from shop_common import transfer_funds as transfer

set_tracing_disabled(True)
_calls = [] if Path("kept").exists() else CALLS
_steps = [[function_call(one["name"], one["args"], call_id=one["id"])] for one in _calls]
model = ScriptedModel([*_steps, [assistant_message("ended")]])
transfer_funds = function_tool(transfer)

__all__ = ["keep", "kept", "model", "transfer_funds"]
