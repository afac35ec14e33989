"""What the pages of the guides take from the reader's own program, beside the model of each framework."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CALLS: list[dict[str, Any]] = [
    {"id": "call_1", "name": "transfer_funds", "args": {"to": "vendor-7", "amount": "950.00", "currency": "EUR"}}
]
_KEPT = Path("kept")


def transfer_funds(to: str, amount: str, currency: str) -> dict[str, str]:
    """Transfer money to a vendor."""
    with Path("book").open("a") as book:
        book.write(f"{amount} {currency} to {to}\n")
    return {"id": "tr-1"}


def keep(*texts: str | bytes) -> None:
    _KEPT.write_text(json.dumps([text if isinstance(text, str) else text.decode() for text in texts]))


def kept() -> Any:
    """What was kept: one text, or a list of them."""
    texts = json.loads(_KEPT.read_text())
    return texts[0] if len(texts) == 1 else texts
