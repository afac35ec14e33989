"""The form of an entry: compact JSON without anything that two readers could understand in two ways."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, cast

DEPTH_MAX = 128
U32_MAX, U64_MAX = 2**32 - 1, 2**64 - 1

Object = dict[str, Any]
Check = Callable[[Any], object]


class Malformed(Exception):
    """It is no entry."""


_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_SPACE = re.compile(r"[ \t\r\n]")
_PIECE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[][{},:]|[^][{},:"]+')
_NAMES = frozenset(
    (
        "at",
        "kind",
        "run",
        "beside",
        "action",
        "outcome",
        "mode",
        "arguments",
        "output",
        "stated",
        "sources",
        "payload",
    )
)
_DECISION_NAMES = frozenset(("verdict", "approval", "replays"))
COMMITMENTS = ("arguments", "output", "stated", "sources", "payload")


def _object(pairs: list[tuple[str, Any]]) -> Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a key stands twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Malformed("a number is too large")
    return number


def _whole(text: str) -> int | float:
    # What is longer is not counted with by anybody; `-0` is no number as it is written here.
    return int(text) if len(text) < 20 and text != "-0" else _long(text)


def _long(text: str) -> int | float:
    number = _finite(text)
    return int(text) if len(text) == 20 and text[0] != "-" else number


def _refused(text: str) -> float:
    raise Malformed(f"`{text}` is no number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_whole, parse_float=_finite, parse_constant=_refused)


def parse(data: bytes) -> Object:
    """Reads an entry, and refuses every other spelling."""
    try:
        text = data.decode()
        entry, end = _DECODER.raw_decode(text)
        if "\\u" in text:
            json.dumps(entry, ensure_ascii=False).encode()
    except (UnicodeError, ValueError, RecursionError) as error:
        what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Malformed(f"it is not as the writer writes it: {what}") from None
    bare = _STRING.sub("", text)
    if end != len(text) or not isinstance(entry, dict) or _SPACE.search(bare) or not bare.isascii():
        raise Malformed("it is not as the writer writes it: there is something beside one compact object")
    if bare.count("{") + bare.count("[") > DEPTH_MAX and _depth(bare) > DEPTH_MAX:
        raise Malformed("it is nested too deeply")
    if "\\" in text:
        _no_escapes(text)
    found = cast(Object, entry)
    _MEMBERS(found)
    if sum(member in found for member in COMMITMENTS) > 1:
        raise Malformed("it commits to two payloads")
    return found


def _depth(bare: str) -> int:
    depth = deepest = 0
    for c in bare:
        depth += (c in "[{") - (c in "]}")
        deepest = max(deepest, depth)
    return deepest


def _no_escapes(text: str) -> None:
    """Keys and names of the entry and of its decision are written without escapes."""
    depth, above, key, is_value = 0, "", "", False
    for piece in _PIECE.findall(text):
        if piece in "{[":
            above = key if depth == 1 else above
            depth, is_value = depth + 1, piece == "["
        elif piece in "}]":
            depth -= 1
        elif piece in ",:":
            is_value = piece == ":"
        elif piece[0] == '"' and (depth == 1 or (depth == 2 and above == "decision")):
            names = _NAMES if depth == 1 else _DECISION_NAMES
            key = key if is_value else piece[1:-1]
            if "\\" in piece and (not is_value or key in names):
                raise Malformed("it is not as the writer writes it: a key or a name has an escape")


def text(value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise Malformed(f"`{str(value)[:64]}` is no text")
    return value


def flag(value: Any) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise Malformed(f"`{str(value)[:64]}` is neither true nor false")


def _number(low: int, high: int) -> Check:
    def check(value: Any) -> None:
        if type(value) is not int or not low <= value <= high:
            raise Malformed(f"`{str(value)[:64]}` is no number from {low} to {high}")

    return check


u32, u64, i64 = _number(0, U32_MAX), _number(0, U64_MAX), _number(-(2**63), 2**63 - 1)


def _like(pattern: str, what: str) -> Check:
    like = re.compile(pattern)

    def check(value: Any) -> None:
        if not like.fullmatch(text(value)):
            raise Malformed(f"`{value[:80]}` is no {what}")

    return check


digest = _like(r"sha256:[0-9a-f]{64}", "digest")
name = _like(r"[A-Za-z0-9_.:@/-]{1,128}", "name")
decimal = _like(r"-?[0-9]{1,29}(\.[0-9]{1,28})?", "decimal")
_MOMENT = re.compile(r"([0-9]{4,9})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z")
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def moment(value: Any) -> int:
    """Milliseconds since 1970. Years may have more than four digits."""
    match = _MOMENT.fullmatch(text(value))
    found = _since_1970(*map(int, match.groups())) if match else None
    if found is None or found >= 2**63:
        raise Malformed(f"`{value[:64]}` is no time")
    return found


def _since_1970(year: int, month: int, day: int, hour: int, minute: int, second: int, ms: int) -> int | None:
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or hour > 23 or minute > 59 or second > 59:
        return None
    if not 1 <= day <= _DAYS[month - 1] + (month == 2 and is_leap):
        return None
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 - 719162
    days += sum(_DAYS[: month - 1]) + (month > 2 and is_leap) + day - 1
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms


def one_of(*words: str) -> Check:
    """One of these words."""

    def check(value: Any) -> None:
        if text(value) not in words:
            raise Malformed(f"`{value[:64]}` is none of {', '.join(words)}")

    return check


def _items(value: Any) -> list[Any]:
    items = cast("list[Any]", value)
    if not isinstance(value, list):
        raise Malformed(f"`{str(value)[:64]}` is no list")
    return items


def list_of(inner: Check) -> Check:
    """A list."""

    def check(value: Any) -> None:
        for item in _items(value):
            inner(item)

    return check


def _members(value: Any) -> Object:
    if not isinstance(value, dict):
        raise Malformed(f"`{str(value)[:64]}` is no object")
    return cast(Object, value)


def map_of(key: Check, inner: Check) -> Check:
    """An object whose keys are names."""

    def check(value: Any) -> None:
        for member, item in _members(value).items():
            key(member)
            inner(item)

    return check


def form(**members: Check) -> Check:
    """An object with these members. `_` behind a name: it may be absent; `__`: it may be null, too. Other members may
    be there as well."""
    rules = [(key.rstrip("_"), key.endswith("_"), key.endswith("__"), check) for key, check in members.items()]

    def check_all(value: Any) -> None:
        members = _members(value)
        for key, may_be_absent, may_be_null, check in rules:
            if key not in members:
                if not may_be_absent:
                    raise Malformed(f"`{key}` is missing")
            elif not (may_be_null and members[key] is None):
                try:
                    check(members[key])
                except Malformed as error:
                    raise Malformed(f"`{key}`: {error}") from None

    return check_all


# What a member of the entry is wherever it stands, whatever the kind says.
_MEMBERS = form(
    **{f"{member}_": text for member in [*_NAMES, "resolved_by"]},
    **{f"{member}_": u64 for member in ("v", "position", "seq", "attempt")},
    **{f"{member}_": flag for member in ("reported", "unkept")},
    decision_=form(**{f"{member}_": text for member in _DECISION_NAMES}),
)
TIER = one_of("native", "gvisor", "microvm")
LABELS = form(untrusted_=flag, private_=flag, classes_=list_of(text))
PRINCIPAL = form(agent=name, user__=name, tenant=name, project__=name, environment=name, run=name)
QUORUM = form(requirements=list_of(form(groups=list_of(text), count=u32)), expires_s=u64)
VOTE = form(person=name, groups=list_of(text), yes=flag, at=moment, reason_=text, endorse_=flag, confirmed_=flag)
VOTERS = map_of(name, form(groups_=list_of(text), own_=flag))
STATE = one_of("pending", "approved", "rejected", "expired", "used", "withdrawn")
CONFIRM = form(at=text, **{"class": text}, typed=digest, step__=u32)
PLAN = form(
    bundle=digest,
    steps=list_of(form(definition=digest, times=u32, tier__=TIER, asks_=list_of(text))),
    proposed__=digest,
)
ASK = form(
    approval=name, action=name, of_run=name, digest=digest, need=QUORUM, excluded_=list_of(text),
    votes_=list_of(VOTE), state=STATE, asked_at=moment, rows__=u64, confirm_=list_of(CONFIRM), tier__=TIER,
    instead_of__=TIER, plan__=PLAN, completed_by_=list_of(form(action=name, definition=digest)), expires_at=moment,
)  # fmt: skip
OFFERS = form(views=flag, overlays=flag, listener=flag, unlimited_memory=flag, host_programs_=flag)
BACKEND = form(
    backend=text, tier=TIER, available=flag, reason=text, version=text, memory=flag, cpu=flag, offers__=OFFERS
)  # fmt: skip


def _scope(value: Any) -> None:
    if value == "all":
        return
    scopes = list(_members(value).items())
    if len(scopes) != 1 or scopes[0][0] not in ("tenant", "agent", "run"):
        raise Malformed("its scope is none")
    name(scopes[0][1])


KILL = form(scope=_scope, by=text, reason=text)
ENTRY = form(v=u64, position=u64, at=moment, run__=name, seq__=u64, beside__=digest)

# What each kind has of its own. Of these that are `None` the story reads what it needs, and checks that.
KINDS: dict[str, Check | None] = {
    "bundle_loaded": form(bundle=digest, sources=digest, agents=u64, actions=u64),
    "sandbox_probed": form(
        found=list_of(BACKEND),
        modules__=form(available=flag, reason=text, version=text),
        lowered__=form(to=TIER, reason=text),
    ),
    "run_opened": form(
        principal=PRINCIPAL, goal=digest, stated=digest, expires_at=moment, ancestors_=list_of(name),
        follows_=list_of(name), labels=LABELS, late_=flag, planned_=flag, by=text, barred_=list_of(name),
    ),
    "run_closed": form(reason=text, by=text),
    "token_issued": form(token=text, expires_at=moment, **{"from__": text}),
    "token_revoked": form(token=text, by=text),
    "ruled": None,
    "asked": form(ask=ASK),
    "answered": form(approval=name, action=name, vote=VOTE, state=STATE, view__=digest, voters__=VOTERS),
    "expired": form(approval=name, action=name, lapse_=one_of("unanswered", "incomplete", "approved")),
    "withdrawn": form(approval=name, action=name, code__=text, message=text),
    "started": None,
    "concluded": None,
    "kill": KILL,
    "lift": KILL,
    "budget_adjusted": form(meter=text, now=form(window=i64, used=decimal, held=decimal), by=text, reason=text),
    "erased": form(payload=digest, ground=text, by=text),
    "key_changed": form(key=text),
    "heartbeat": form(in_flight=u64),
    "fault": form(code=text, message=text),
}  # fmt: skip

# Of a decision that uses a yes.
USED = form(
    action=name, name=text, digest=digest, principal=PRINCIPAL, arguments=digest, arguments_bytes=u64, bundle=digest,
    definition__=digest, now=moment, facts=form(ask__=ASK, voters__=VOTERS),
    decision=form(approval=name, need__=QUORUM, plan_step__=u32),
)  # fmt: skip
