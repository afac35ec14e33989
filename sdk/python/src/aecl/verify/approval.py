"""Whose yes counts, and when there are enough of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .entry import Malformed, Object, moment

SEATS_MAX = 64

# A vote with every member that it may have, and its groups as a set.
Vote = dict[str, Any]


def vote(read: Object) -> Vote:
    """A vote as it is compared: what is absent is nothing."""
    absent: Object = {"reason": "", "endorse": False, "confirmed": False}
    known = {key: read[key] for key in ("person", "groups", "yes", "at", *absent) if key in read}
    return {**absent, **known, "groups": frozenset(read["groups"])}


def is_met(need: Object, votes: list[Vote]) -> bool:
    """Whether these votes fill every seat, each with somebody else (a matching, grown by augmenting paths)."""
    people: dict[str, Vote] = {}
    for vote_ in votes:
        if vote_["yes"]:
            people.setdefault(vote_["person"], vote_)
    groups = [vote_["groups"] for vote_ in people.values()]
    counts = [min(r["count"], SEATS_MAX) for r in need["requirements"]]
    if not 0 < sum(counts) <= len(groups):
        return False
    seats = [set(r["groups"]) for r, count in zip(need["requirements"], counts, strict=True) for _ in range(count)]
    taken: list[int | None] = [None] * len(groups)

    def seat_somebody(seat: int, tried: set[int]) -> bool:
        for person, theirs in enumerate(groups):
            if person in tried or not (seats[seat] & theirs):
                continue
            tried.add(person)
            other = taken[person]
            if other is None or seat_somebody(other, tried):
                taken[person] = seat
                return True
        return False

    return all(seat_somebody(seat, set()) for seat in range(len(seats)))


def state_at(ask: Object, now: int) -> str:
    """Where a request stands at this moment: what is past its time has expired, whatever is written."""
    state = str(ask["state"])
    is_past = state in ("pending", "approved") and now >= moment(ask["expires_at"])
    return "expired" if is_past else state


def lapse(ask: Object) -> str:
    """How far a request had come when its time was over."""
    if ask["state"] in ("approved", "used"):
        return "approved"
    return "incomplete" if ask["votes"] else "unanswered"


def _standing(vote_: Vote, voters: Object) -> frozenset[str]:
    """The groups for which somebody has answered and still answers."""
    groups: frozenset[str] = vote_["groups"]
    return groups & frozenset(voters.get(vote_["person"], {}).get("groups", ()))


def counting(votes: list[Vote], voters: Object | None, excluded: Collection[str]) -> list[Vote]:
    """The answers that count. Where it is not recorded who the people were then, votes are what they were."""
    found: list[Vote] = []
    for vote_ in votes:
        if vote_["person"] in excluded:
            continue
        if voters is None or not vote_["yes"]:
            found.append(vote_)
        elif groups := _standing(vote_, voters):
            found.append({**vote_, "groups": groups})
    return found


def _is_open_anew(ask: Object, person: str, voters: Object | None) -> bool:
    """Whether somebody who has answered may answer anew."""
    votes: list[Vote] = ask["votes"]
    if voters is None or not votes:
        return False
    if any(v["person"] == person and v["yes"] and not _standing(v, voters) for v in votes):
        return True
    return ask["state"] == "pending" and is_met(ask["need"], counting(votes, voters, ask.get("excluded", ())))


def take(ask: Object, vote_: Vote, voters: Object | None) -> None:
    """Adds an answer, in the place of an earlier one where the same person may answer anew."""
    votes: list[Vote] = ask["votes"]
    if _is_open_anew(ask, vote_["person"], voters):
        votes = [known for known in votes if known["person"] != vote_["person"]]
    ask["votes"] = [*votes, vote_]


def admit(ask: Object, vote_: Vote, voters: Object | None) -> str:
    """Where a request stands once this person has answered, if the answer counts."""
    need, excluded, person = ask["need"], ask.get("excluded", []), vote_["person"]

    def wrong(what: str) -> Malformed:
        return Malformed(f"an answer that does not count is on record: {what}")

    requirements = need["requirements"]
    may_answer = person not in excluded and any(vote_["groups"] & set(r["groups"]) for r in requirements)
    refused = wrong(f"`{person}` may not answer `{ask['approval']}`")
    state = state_at(ask, moment(vote_["at"]))
    if state == "approved" and voters is not None:
        # A yes that does not count any more leaves it open.
        state = state if is_met(need, counting(ask["votes"], voters, excluded)) else "pending"
    if state == "approved" and ask.get("plan") is not None and not vote_["yes"]:
        # A yes to a plan lasts, so it can be taken back; also by those who gave it.
        if not may_answer:
            raise refused
        return "rejected"
    if state != "pending":
        raise wrong(f"`{ask['approval']}` is {state} already")
    if any(v["person"] == person for v in ask["votes"]) and not _is_open_anew(ask, person, voters):
        raise wrong(f"`{person}` has answered `{ask['approval']}` already; somebody else has to")
    if not may_answer:
        raise refused
    if not vote_["yes"]:
        return "rejected"
    if ask.get("confirm") and sum(r["count"] for r in requirements) < 2 and not vote_["confirmed"]:
        raise wrong(f"a yes to `{ask['approval']}` is typed, and this one was not")
    after = {**ask}
    take(after, vote_, voters)
    # Records from before people were asked for count those, too, who were excluded later.
    votes = counting(after["votes"], voters, excluded if voters is not None else ())
    return "approved" if is_met(need, votes) else "pending"
