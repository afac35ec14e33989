"""The reader's own program, for the page of Pydantic AI."""

from agent_pydantic_ai import script
from shop_common import CALLS, keep, kept, transfer_funds

model = script(CALLS)

__all__ = ["keep", "kept", "model", "transfer_funds"]
