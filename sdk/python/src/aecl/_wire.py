"""Answers of the server, read strictly: an unknown field, a wrong type or a state that does not go with its status
is an answer that is not understood, and then nothing happens.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from . import _json
from .errors import Blocked, Closed, Error, Expired, Finding, Invalid, Refused, Rejected, Unauthorized, Unavailable

#: Fields of an answer about an action. Others are not understood; a test compares the lists with openapi/aecl.json.
ACTION = frozenset(
    {"action", "state", "name", "run", "code", "message", "decision", "output", "replayed", "approval", "hint"}
    | {"permit", "permit_expires_at", "undo", "compensates", "receipt"}
)
APPROVAL = frozenset(
    {"id", "url", "state", "about", "run", "digest", "need", "votes", "excluded", "asked_at", "expires_at", "action"}
    | {"confirm", "proposed"}
)
PROBLEM = frozenset({"type", "title", "status", "detail", "code", "hint", "approval"})

#: Which status each state has.
STATES = {
    "done": 200,
    "failed": 200,
    "unknown": 200,
    "blocked": 200,
    "rejected": 200,
    "permitted": 200,
    "asked": 200,
    "pending": 202,
    "started": 202,
}

_CLOSED = frozenset({"run_closed", "run_expired"})
_INVALID = frozenset({400, 404, 405, 413, 415, 422})


@dataclass(frozen=True)
class Reply:
    """Reply over HTTP: status, content type, body."""

    status: int
    kind: str
    body: bytes
    retry_after: str | None = None


@dataclass(frozen=True)
class Asked:
    """Request to people, as an answer about an action holds it."""

    id: str
    url: str
    expires_at: str


@dataclass(frozen=True)
class Answer:
    """Answer about an action."""

    action: str
    state: str
    code: str
    message: str
    output: Any
    has_output: bool
    replayed: bool
    approval: Asked | None
    hint: str | None
    permit: str | None
    findings: tuple[Finding, ...]


def unreadable(why: str) -> Unavailable:
    """Error of an answer that is not understood."""
    return Unavailable(
        "answer_unreadable",
        f"the answer is not understood: {why}",
        hint="is this address an AECL of the same version as this library?",
    )


def fields(body: bytes) -> dict[str, Any]:
    """Object that an answer has to be."""
    value = _json.read(body)
    if type(value) is not dict:
        raise unreadable("it is no object")
    return cast("dict[str, Any]", value)


def text(of: Mapping[str, Any], name: str) -> str:
    """Text that has to be there."""
    value = of.get(name)
    if type(value) is not str or not value:
        raise unreadable(f"`{name}` is no text")
    return value


def maybe_text(of: Mapping[str, Any], name: str) -> str | None:
    """Text that may be absent."""
    value = of.get(name)
    if value is not None and type(value) is not str:
        raise unreadable(f"`{name}` is no text")
    return value


def known(of: Mapping[str, Any], names: frozenset[str], what: str) -> None:
    """Refuses a field that nobody here understands: it may be what would forbid acting."""
    for name in of:
        if name not in names:
            raise unreadable(f"{what} has the field `{name}`, which this version does not know")


def expect(reply: Reply, status: int) -> dict[str, Any]:
    """Body of an answer with this status; a problem is raised as the error that it is."""
    if reply.status >= 400:
        raise problem(reply)
    if reply.status != status:
        raise unreadable(f"status {reply.status}")
    if reply.kind != "application/json":
        raise unreadable(f"its content type is `{reply.kind}`")
    return fields(reply.body)


def answer(reply: Reply) -> Answer:
    """Answer about an action; a problem is raised as the error that it is."""
    of = expect(reply, 202 if reply.status == 202 else 200)
    known(of, ACTION, "an action")
    state = text(of, "state")
    if STATES.get(state) != reply.status:
        raise unreadable(f"state `{state}` with status {reply.status}")
    replayed = of.get("replayed", False)
    if type(replayed) is not bool:
        raise unreadable("`replayed` is neither true nor false")
    approval = _asked(of.get("approval"))
    if state == "pending" and approval is None:
        raise unreadable("it waits, and names no request")
    permit = maybe_text(of, "permit")
    if (state == "permitted") != (permit is not None):
        raise unreadable(f"state `{state}` with a permit" if permit else "a permit without its text")
    return Answer(
        action=text(of, "action"),
        state=state,
        code=maybe_text(of, "code") or "",
        message=maybe_text(of, "message") or "",
        output=of.get("output"),
        has_output="output" in of,
        replayed=replayed,
        approval=approval,
        hint=maybe_text(of, "hint"),
        permit=permit,
        findings=_findings(of.get("decision")),
    )


def _asked(value: Any) -> Asked | None:
    if value is None:
        return None
    if type(value) is not dict:
        raise unreadable("`approval` is no object")
    of = cast("dict[str, Any]", value)
    known(of, APPROVAL, "a request for approval")
    return Asked(id=text(of, "id"), url=text(of, "url"), expires_at=text(of, "expires_at"))


def _findings(decision: Any) -> tuple[Finding, ...]:
    if decision is None:
        return ()
    of: Any = cast("dict[str, Any]", decision).get("findings") if type(decision) is dict else None
    if type(cast(object, of)) is not list:
        raise unreadable("`decision` has no findings")
    found: list[Finding] = []
    for item in of:
        if type(item) is not dict:
            raise unreadable("a finding is no object")
        one = cast("dict[str, Any]", item)
        found.append(Finding(text(one, "check"), text(one, "code"), text(one, "verdict"), text(one, "message")))
    return tuple(found)


def refusal(said: Answer) -> Refused:
    """Error of a blocked or rejected proposal."""
    kind: type[Refused] = Blocked
    if said.state == "rejected":
        kind = Expired if said.code == "approval_expired" else Rejected
    elif said.code in _CLOSED:
        kind = Closed
    error = kind(said.code or "not_allowed", said.message or "refused", action=said.action)
    error.findings = said.findings
    return error


def problem(reply: Reply) -> Error:
    """Error of a problem answer (RFC 9457)."""
    if reply.kind != "application/problem+json":
        return unreadable(f"status {reply.status} with content type `{reply.kind}`")
    try:
        of = fields(reply.body)
        known(of, PROBLEM, "a problem")
        code, detail = text(of, "code"), text(of, "detail")
        hint, page = maybe_text(of, "hint"), maybe_text(of, "type")
    except Unavailable as error:
        return error
    kind: type[Error] = Unavailable
    if code in _CLOSED:
        kind = Closed
    elif reply.status in (401, 403):
        kind = Unauthorized
    elif reply.status in _INVALID or reply.status == 409:
        kind = Invalid
    return kind(code, detail, hint=hint, page=page)


def claims(token: str) -> dict[str, Any]:
    """Claims of a signed token. The signature is for others: who speaks here is known by the connection."""
    parts = token.split(".")
    if len(parts) != 3:
        raise unreadable("a token is no JWT")
    try:
        body = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except (binascii.Error, ValueError):
        raise unreadable("a token is no JWT") from None
    return fields(body)


def lifetime_s(of: Mapping[str, Any]) -> float:
    """Seconds for which a token counts from when it was made, by its own two times: clocks may differ."""
    issued, ends = of.get("iat"), of.get("exp")
    if type(issued) is not int or type(ends) is not int or ends <= issued:
        raise unreadable("a token without its times")
    return float(ends - issued)
