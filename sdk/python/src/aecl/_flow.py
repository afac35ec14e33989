"""The walk of one action, without a socket or a clock of its own: propose, act with a permit, report.

Each flow is a generator that yields what it needs (`Request`, `Pause`) and is sent what came. The synchronous and the
asynchronous driver carry out the same flows, so both do the same, in the same order.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from . import _json, _wire
from ._wire import Reply
from .errors import (
    AlreadyDone,
    Error,
    Failed,
    Invalid,
    Pending,
    Unauthorized,
    Unavailable,
    Underway,
    Unknown,
)

T = TypeVar("T")

#: Longest wait of one request for people, in seconds; a longer one is several requests.
WAIT_S_MAX = 300
#: How long an answer may take beside what it waits for people, in seconds.
ANSWER_S = 30.0
#: How long a report is tried: the server waits 90 s for it from the permit on.
REPORT_S = 45.0
#: How long an attempt is made to be let in by a server that has too much to do.
CROWD_S = 60.0
#: Code of an outcome whose output is not on record: too large, or nothing that JSON can say.
UNRECORDED = "output_unrecorded"
#: Longest text about an error that is reported, in characters.
_SAID_MAX = 1000

Outcome = Literal["done", "failed", "unknown"]


@dataclass(frozen=True)
class Request:
    """Request to the server. `waits_s`: how long it may wait for people; `token`: who asks."""

    method: str
    path: str
    token: str | None
    body: bytes | None = None
    waits_s: float = 0.0


@dataclass(frozen=True)
class Pause:
    """Pause between two attempts, in seconds."""

    seconds: float


#: What a flow yields, is sent, and gives in the end. A transport that fails throws `Unavailable` into it.
Flow = Generator["Request | Pause", Reply, T]


@dataclass
class State:
    """State of a run in this process: its id, its token, and who may renew that."""

    run: str
    token: str
    #: The key that has opened it; none on the socket of a home, where the file's owner may.
    key: str | None
    #: Whether whoever is here may open, close and renew runs without the run's own token.
    owner: bool
    agent: str = ""
    lives_s: float = 0.0
    since: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)
    renewing: bool = False
    #: Calls that wait for people, as far as this process knows.
    waiting: set[tuple[str, bytes]] = field(default_factory=set[tuple[str, bytes]])

    def take(self, token: str) -> None:
        """Takes over a token, which counts from now on."""
        of = _wire.claims(token)
        if of.get("run") != self.run:
            raise Unauthorized("token_foreign", "the token belongs to another run")
        self.token, self.lives_s, self.since = token, _wire.lifetime_s(of), time.monotonic()
        self.agent = _wire.text(of, "sub")


@dataclass(frozen=True)
class Judged:
    """Arguments as they are sent, judged and carried out: canonical bytes of JSON."""

    text: bytes

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Judged:
        """Takes arguments; raises `Invalid` for what has no single meaning."""
        return cls(_json.canonical(dict(arguments)))

    def read(self) -> dict[str, Any]:
        """Arguments anew from the bytes, so that nobody who holds the first objects can change them."""
        return cast("dict[str, Any]", json.loads(self.text))


@dataclass(frozen=True)
class Permit:
    """Leave to do exactly these bytes, once."""

    action: str
    name: str
    judged: Judged
    lives_s: float
    since: float = field(default_factory=time.monotonic)
    process: int = field(default_factory=os.getpid)

    @property
    def ours(self) -> bool:
        """Whether this process has asked for it. A child of it says nothing about what its parent does."""
        return self.process == os.getpid()

    def check(self) -> None:
        """Refuses to begin too late: by then the server may have given it up."""
        if time.monotonic() - self.since >= self.lives_s:
            raise Unavailable("permit_late", f"the permit for `{self.name}` has run out before it was used")


@dataclass(frozen=True)
class Done:
    """What was carried out: the action on record, its name and arguments, and what came out.

    `replayed`: it was on record already, and nothing was executed now.
    """

    action: str
    name: str
    arguments: dict[str, Any]
    output: Any
    replayed: bool = False


def call_key(call_id: str | None) -> tuple[str, bool]:
    """Idempotency key of a call, and whether the caller has named it: 1 to 255 visible ASCII characters."""
    if call_id is None:
        return f"once:{uuid.uuid4().hex}", False
    if not call_id:
        raise Invalid("request_invalid", "a call id is empty")
    if len(call_id) <= 200 and all("!" <= c <= "~" for c in call_id):
        return f"call:{call_id}", True
    return f"call-{_json.digest(call_id.encode('utf-8', 'surrogatepass'))}", True


def _let_in(request: Request) -> Flow[Reply]:
    """Sends a request; waits where the server says that it has too much to do, which begins nothing."""
    until = time.monotonic() + CROWD_S
    pause = 0.05
    while True:
        reply = yield request
        if reply.status != 429:
            return reply
        said = _wire.problem(reply)
        if said.code != "overloaded" or time.monotonic() >= until:
            raise said
        yield Pause(pause)
        pause = min(pause * 2, 1.0)


def _fresh(state: State, *, at_once: bool = False) -> Flow[str]:
    """Token that counts for a while; renewed in time by whoever comes first."""
    with state.lock:
        age = time.monotonic() - state.since
        due = at_once or (state.lives_s > 0 and age > state.lives_s * 2 / 3)
        if not due or state.renewing:
            return state.token
        state.renewing = True
    try:
        # By itself, so that what was revoked stays revoked; only one that has run out is renewed by the key.
        for bearer in [state.token, state.key] if state.owner else [state.token]:
            try:
                reply = yield from _let_in(Request("POST", f"/v1/runs/{state.run}/tokens", bearer))
                of = _wire.expect(reply, 201)
                with state.lock:
                    state.take(_wire.text(of, "token"))
                break
            except Error as error:
                if error.code != "token_expired":
                    # The one that is there may still count; whoever uses it is told.
                    break
        return state.token
    finally:
        state.renewing = False


def open_run(key: str | None, owner: bool, words: Mapping[str, Any], wait_s: float) -> Flow[tuple[State, str]]:
    """Opens a run. Gives its state, and the id of the request about its plan or nothing."""
    body = _json.canonical(dict(words))
    reply = yield from _let_in(Request("POST", "/v1/runs", key, body, wait_s))
    of = _wire.expect(reply, 201)
    state = State(run=_wire.text(of, "run"), token="", key=key, owner=owner)
    state.take(_wire.text(of, "token"))
    plan = of.get("plan_approval")
    return state, _wire.text(cast("dict[str, Any]", plan), "id") if type(plan) is dict else ""


def look_at_run(state: State) -> Flow[dict[str, Any]]:
    """Looks at a run with its token."""
    token = yield from _fresh(state)
    reply = yield from _let_in(Request("GET", f"/v1/runs/{state.run}", token))
    return _wire.expect(reply, 200)


def close_run(state: State, reason: str) -> Flow[None]:
    """Ends a run. Only whoever has opened it may."""
    body = _json.canonical({"reason": reason})
    reply = yield from _let_in(Request("POST", f"/v1/runs/{state.run}/close", state.key, body))
    _wire.expect(reply, 200)


def _propose(
    state: State, name: str, judged: Judged, mode: str, key: str, wait_s: float, resume: bool
) -> Flow[_wire.Answer]:
    head = {"action": name, "idempotency_key": key, "mode": mode, "resume": resume, "wait_s": int(wait_s)}
    # The bytes themselves, not a copy that a writer has made of them.
    body = b'{"arguments":' + judged.text + b"," + _json.canonical(head)[1:]
    for again in (False, True):
        token = yield from _fresh(state, at_once=again)
        reply = yield from _let_in(Request("POST", "/v1/actions", token, body, wait_s))
        if reply.status == 401 and not again and state.owner and _wire.problem(reply).code == "token_expired":
            # It has run out while this process slept; nothing was judged.
            continue
        said = _wire.answer(reply)
        if said.code == "token_expired" and not again and state.owner:
            continue
        return said
    raise Unauthorized("token_expired", "the run's token does not count any more")


def authorize(state: State, name: str, judged: Judged, call_id: str | None, wait_s: float) -> Flow[Permit | Done]:
    """Asks for leave to act. Gives a permit for these bytes, or what this call id came to before."""
    key, named = call_key(call_id)
    said = yield from _settled(state, name, judged, "authorize", key, wait_s, False)
    if said.state == "permitted":
        return _permit(state, name, judged, said)
    return _ended(state, name, judged, said, call_id if named else None)


def execute(state: State, name: str, judged: Judged, call_id: str | None, wait_s: float, resume: bool) -> Flow[Done]:
    """Has AECL carry an action out. An answer that is lost is asked for again by the same key."""
    key, named = call_key(call_id)
    lost: Unavailable | None = None
    for attempt in range(4):
        try:
            said = yield from _settled(state, name, judged, "execute", key, wait_s, resume)
        except Unavailable as error:
            if lost is None and not error.sent:
                raise
            lost = lost or error
            yield Pause(0.1 * 2**attempt)
            continue
        if said.state == "permitted":
            raise _wire.unreadable("a permit, and nobody has asked for one")
        return _ended(state, name, judged, said, call_id if named else None)
    why = f"`{name}` was sent, and no answer came: {lost.message if lost else 'it may be underway'}"
    raise Unknown("answer_lost", why, hint="look at the run (aecl log show RUN) before anything is repeated")


def _settled(
    state: State, name: str, judged: Judged, mode: str, key: str, wait_s: float, resume: bool
) -> Flow[_wire.Answer]:
    """Proposes, and waits as long as it may for people or for the first of two equal calls."""
    until = time.monotonic() + wait_s
    while True:
        left = min(max(until - time.monotonic(), 0.0), WAIT_S_MAX)
        said = yield from _propose(state, name, judged, mode, key, left, resume)
        if said.state == "pending":
            state.waiting.add((name, judged.text))
        else:
            state.waiting.discard((name, judged.text))
        if said.state not in ("pending", "started") or time.monotonic() + 1 > until:
            return said
        # A server may wait for less than it is asked to.
        yield Pause(0.2)


def _permit(state: State, name: str, judged: Judged, said: _wire.Answer) -> Permit:
    of = _wire.claims(said.permit or "")
    expected = {
        "aud": "aecl:permit",
        "run": state.run,
        "sub": state.agent,
        "jti": said.action,
        "action": name,
    }
    for claim, value in expected.items():
        if of.get(claim) != value:
            raise Unavailable(
                "permit_foreign", f"the permit is for another `{claim}` than this call", action=said.action
            )
    if of.get("arguments") != _json.digest(judged.text):
        raise Invalid(
            "arguments_differ",
            f"what was judged of `{name}` is not what this process would carry out",
            hint="the catalogue fills in what is left out (`default`): name every argument in the call",
            action=said.action,
        )
    return Permit(said.action, name, judged, _wire.lifetime_s(of))


def _ended(state: State, name: str, judged: Judged, said: _wire.Answer, call_id: str | None) -> Done:
    if said.state == "done":
        done = Done(said.action, name, judged.read(), said.output, said.replayed)
        if said.code == UNRECORDED:
            raise recorded(done)
        return done
    if said.state == "failed":
        raise Failed(said.code or "failed", said.message or f"`{name}` failed", action=said.action)
    if said.state == "unknown":
        why = said.message or f"nobody knows what became of `{name}`"
        raise Unknown(said.code or "unknown", why, action=said.action)
    if said.state == "started":
        raise Underway("replayed", f"`{name}` is underway under this call id", action=said.action)
    if said.state == "pending" and said.approval is not None:
        raise _pending(state, name, judged, said, said.approval, call_id)
    if said.state in ("blocked", "rejected"):
        raise _wire.refusal(said)
    raise _wire.unreadable(f"state `{said.state}`, and nobody has asked for it")


def _pending(
    state: State, name: str, judged: Judged, said: _wire.Answer, asked: _wire.Asked, call_id: str | None
) -> Pending:
    arguments = judged.read()
    lines = [f"{name} {judged.text.decode('utf-8')}", "", "Asked because"]
    lines += [f"  - {found.message}" for found in said.findings if found.verdict == "require_approval"]
    lines += ["", f"Answer at {asked.url} until {asked.expires_at}"]
    error = Pending(
        f"`{name}` waits for a person; nothing was executed",
        approval=asked.id,
        url=asked.url,
        card="\n".join(lines),
        expires_at=asked.expires_at,
        run=state.run,
        name=name,
        action=said.action,
    )
    error.call_id, error.arguments, error.plan_hint = call_id, arguments, said.hint
    return error


def report(
    state: State, action: str, outcome: Outcome, output: bytes | None, code: str | None, said: str, tries_s: float
) -> Flow[None]:
    """Says what came of a permit, until it is on record. Raises `Unknown` where it cannot be."""
    until = time.monotonic() + tries_s
    body = _report_body(outcome, output, code, said)
    pause, last, renew = 0.05, "nothing came back", False
    while True:
        try:
            token = yield from _fresh(state, at_once=renew)
            reply = yield Request("POST", f"/v1/actions/{action}/outcome", token, body)
        except Unavailable as error:
            last = error.message
        else:
            if reply.status == 200:
                return
            refused = _wire.problem(reply)
            last = refused.message
            if reply.status in (400, 413) and output is not None:
                # It was done, and that counts more than what came out.
                output = None
                body = _report_body(outcome, None, UNRECORDED, f"the output could not be recorded: {last}")
                continue
            if reply.status == 401 and state.owner and not renew and refused.code == "token_expired":
                # The token has run out while the function acted.
                renew = True
                continue
            renew = False
            if reply.status == 409:
                yield from _stands_as(state, action, outcome, refused)
                return
            if 400 <= reply.status < 500 and reply.status != 429:
                raise _unreported("report_refused", action, outcome, last)
        if time.monotonic() + pause >= until:
            raise _unreported("report_lost", action, outcome, last)
        yield Pause(pause)
        pause = min(pause * 2, 2.0)


def _stands_as(state: State, action: str, outcome: Outcome, error: Error) -> Flow[None]:
    """An outcome stands already: ours, whose answer was lost, or another one."""
    why = error.message
    try:
        reply = yield from _let_in(Request("GET", f"/v1/actions/{action}", state.token))
        stands = _wire.answer(reply).state
    except Error as unseen:
        # It has acted: no error from here may say that nothing was executed.
        why = unseen.message
    else:
        if stands == outcome:
            return
        why = f"it stands as `{stands}` already"
    raise _unreported("report_refused", action, outcome, why)


def _report_body(outcome: Outcome, output: bytes | None, code: str | None, said: str) -> bytes:
    words: dict[str, Any] = {"outcome": outcome}
    if code:
        words["code"] = code[:64]
    if said:
        words["message"] = said[:_SAID_MAX].encode("utf-8", "replace").decode("utf-8")
    head = _json.canonical(words)
    return head if output is None else head[:-1] + b',"output":' + output + b"}"


def _unreported(code: str, action: str, outcome: Outcome, why: str) -> Unknown:
    return Unknown(
        code,
        f"it ended as `{outcome}`, and that is not on record: {why}",
        hint=f"say so with `aecl resolve {action}`",
        action=action,
    )


def recorded(done: Done) -> AlreadyDone:
    """Error for whoever would act by hand, and needs not."""
    error = AlreadyDone("replayed", f"`{done.name}` was done before under this call id", action=done.action)
    error.output = done.output
    return error
