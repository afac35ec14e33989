"""Tools from whose signatures entries are made."""

from __future__ import annotations

import datetime
import decimal
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import aecl


@dataclass
class Line:
    thing: str
    count: int = 1


class Address(TypedDict):
    street: str
    town: str


def order(
    lines: list[Line],
    to: Address,
    on: datetime.date,
    limit: decimal.Decimal,
    speed: Literal["slow", "fast"] = "slow",
    note: str | None = None,
    gift: bool = False,
) -> dict[str, str]:
    """Order things
    from the wholesaler.

    Whatever is in stock comes the next day.

    Args:
        lines: What, and how much of it.
        limit (Decimal): The most that it may cost, in EUR.
    """
    return {"to": to["town"], "first": lines[0].thing, "on": on.isoformat(), "limit": str(limit + 1)}


@aecl.guard("books.close", unjudged=["session"])
def close_books(year: int, session: object) -> None:
    """Close the books of a year.

    :param year: Which year.
    """


def vague(thing, **rest: Any):  # type: ignore[no-untyped-def]  # pyright: ignore
    """Does something."""


def rest_only(**rest: str) -> None:
    """Does something."""


def opaque(handle: bytes) -> None:
    """Does something."""


WORDS = "tea"
SEVERAL = [order, close_books]


def ship(parcel: str) -> None:
    """Ship a parcel."""


def shipped(parcel: str) -> None:
    """Whether it was."""


worker = aecl.Worker()
worker.register("ship", ship, lookup=shipped)

print("what a module says when it is imported")
