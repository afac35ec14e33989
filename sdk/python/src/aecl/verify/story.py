"""Do the entries make sense together? Each run counts its own entries, what is started was allowed and ends
once, a yes is used once and for what it was given."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from . import approval
from .entry import ENTRY, KINDS, USED, Malformed, Object, moment
from .finding import Finding

VERSION = 1
SILENCE_S = 600
WARNINGS_MAX = 1000
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_NAME = re.compile(r"[A-Za-z0-9_.:@/-]{1,128}")
_MEANING = {"allow": "approved", "require_approval": "escalated", "block": "blocked"}


def _milliseconds(text: str) -> int | None:
    try:
        return moment(text)
    except Malformed:
        return None


def _steps(ask: Object) -> list[Object]:
    plan = ask.get("plan")
    return plan["steps"] if plan else []


class Story:
    """What has been told so far."""

    def __init__(self) -> None:
        self._at = ""
        self._first_at: str | None = None
        self._next: dict[str, int] = {}  # the next number in each run
        self._over: dict[str, bool] = {}  # actions that were started, and whether their end is known
        self._open: dict[str, tuple[str, int]] = {}  # those whose end is not known: state, last entry
        self._doubtful: set[str] = set()  # those that have failed, as only their agent says
        self._asks: dict[str, Object] = {}  # requests that can still be answered or used
        self._steps: dict[str, list[int]] = {}  # of those about a plan, how often each step was used
        self._closed: set[str] = set()  # those that cannot
        self._due: tuple[int, str, str | None] | None = None  # an allow whose attempt must come next
        self._kinds: Counter[str] = Counter()
        self._decisions: Counter[str] = Counter()
        self._ends: Counter[str] = Counter()
        self.warnings: list[Object] = []
        self.warnings_more = 0

    def take(self, position: int, entry: Object) -> None:
        """Takes the next entry."""
        try:
            self._take(position, entry)
        except Malformed as error:
            raise Finding(position, str(error), "story") from None
        except RecursionError:
            raise Finding(position, "more people have answered than can be seated here", "unreadable") from None

    def end(self) -> None:
        """There are no more."""
        if self._due:
            position, action, _ = self._due
            raise Finding(position, f"it allows `{action}`, but no attempt is on record", "story")

    def report(self) -> Object:
        """What was told."""
        actions = self._ends.copy()
        open_: list[Object] = []
        for action, (state, position) in sorted(self._open.items(), key=lambda item: item[1][1]):
            actions[state] += 1
            if _NAME.fullmatch(action):
                open_.append({"action": action, "state": state, "position": position})
        return {
            "runs": len(self._next),
            "kinds": dict(sorted(self._kinds.items())),
            "decisions": dict(sorted(self._decisions.items())),
            "actions": dict(sorted(actions.items())),
            "open": open_,
            "first_at": self._first_at,
            "last_at": self._at if _milliseconds(self._at) is not None else None,
        }

    def warn(self, position: int, what: str) -> None:
        """Something that is no contradiction."""
        if len(self.warnings) < WARNINGS_MAX:
            self.warnings.append({"position": position, "what": what})
        else:
            self.warnings_more += 1

    def _take(self, position: int, entry: Object) -> None:
        if any(name not in entry for name in ("v", "position", "at", "kind")):
            raise Malformed("it has no version, position, time or kind")
        kind = entry["kind"]
        if entry["v"] != VERSION:
            raise Malformed(f"it has version {entry['v']}; this program knows {VERSION}")
        if entry["position"] != position:
            raise Malformed(f"it says that it is entry {entry['position']}")
        if kind not in KINDS:
            raise Malformed(f"its kind `{kind[:64]}` is unknown to this program")
        self._kinds[kind] += 1
        self._time(position, entry["at"])
        self._sequence(entry)
        if self._due:
            _, action, run = self._due
            if (kind, entry.get("action"), entry.get("run")) != ("started", action, run):
                self.end()
            self._due = None
            if entry.get("attempt") != 1:
                raise Malformed("the first attempt is number 1")
            self._over[action], self._open[action] = False, ("started", position)
        elif kind == "started":
            raise Malformed(f"`{entry.get('action', '')}` was started without an allow")
        elif kind == "ruled":
            self._ruled(position, entry)
        elif kind == "concluded":
            self._concluded(position, entry)
        else:
            self._other(position, kind, entry)

    def _time(self, position: int, at: str) -> None:
        if at == self._at:
            return
        if not _TIME.fullmatch(at):
            raise Malformed(f"`{at[:64]}` is no time as entries write it")
        if at < self._at:
            raise Malformed(f"it was recorded at {at}, before the entry before it ({self._at})")
        # Within a minute there is no more to know.
        if at[:16] != self._at[:16]:
            now, before = moment(at), _milliseconds(self._at)
            if before is None:
                self._first_at = at
            elif (silence := max(now - before, 0) // 1000) > SILENCE_S:
                self.warn(position, f"nothing was recorded for {silence} s before it, no heartbeat either")
        self._at = at

    def _sequence(self, entry: Object) -> None:
        kind, run, seq = entry["kind"], entry.get("run"), entry.get("seq")
        if run is None:
            if seq is not None:
                raise Malformed("it counts in a run, but names none")
            return
        comes = self._next.get(run)
        if kind == "run_opened":
            if comes is not None:
                raise Malformed(f"run `{run}` is opened a second time")
            if seq != 0:
                raise Malformed(f"the first entry of run `{run}` must be number 0")
            self._next[run] = 1
        elif comes is None:
            # What is proposed for a run that nobody opened is refused, on record.
            if kind != "ruled" or seq is not None:
                raise Malformed(f"run `{run}` was never opened")
        elif seq is None:
            raise Malformed(f"it has no number in run `{run}`")
        elif seq != comes:
            raise Malformed(
                f"it is number {seq} of run `{run}`, but {comes} comes next: an entry is missing or twice"
            )
        else:
            self._next[run] = comes + 1

    def _ruled(self, position: int, entry: Object) -> None:
        action, decision, outcome = entry.get("action"), entry.get("decision"), entry.get("outcome")
        if action is None or decision is None or outcome is None:
            raise Malformed("it is a decision without action, outcome or verdict")
        verdict, mode = decision.get("verdict", ""), entry.get("mode", "")
        if "replays" in decision:
            expected = "replayed"
        elif verdict in _MEANING and mode == "dry_run":
            expected = "asked"
        elif verdict in _MEANING and mode in ("execute", "authorize"):
            expected = _MEANING[verdict]
        else:
            raise Malformed(f"`{verdict}` for `{mode}` is no decision")
        if outcome != expected:
            raise Malformed(f"it says `{outcome}`, but its decision means `{expected}`")
        self._decisions[expected] += 1
        if expected != "approved":
            return
        if action in self._over:
            raise Malformed(f"`{action}` was started before, and is allowed again")
        if "seq" not in entry:
            raise Malformed(f"`{action}` is allowed for a run that was never opened")
        if "approval" in decision:
            self._yes(entry)
        self._due = (position, action, entry.get("run"))

    def _yes(self, entry: Object) -> None:
        """A yes is used: once, in time, for exactly what it was given, and by as many people as are needed."""
        ENTRY(entry)
        USED(entry)
        decision, facts = entry["decision"], entry["facts"]
        id_: str = decision["approval"]
        step: int | None = decision.get("plan_step")

        def wrong(what: str) -> Malformed:
            return Malformed(f"the approval `{id_}` {what}")

        ask = self._asks.get(id_)
        if ask is None:
            raise wrong(
                "was used, refused, withdrawn or expired before" if id_ in self._closed else "was never asked for"
            )
        shown: Object | None = None
        if step is None:
            self._close(id_)
            if ask["digest"] != entry["digest"]:
                raise wrong("was given for something else")
            if ask["action"] != entry["action"]:
                raise wrong(f"was given for `{ask['action']}`")
        else:
            steps = _steps(ask)
            if step >= len(steps):
                raise wrong("is for no plan with such a step")
            shown = steps[step]
            if ask["of_run"] != entry["principal"]["run"]:
                raise wrong("is for the plan of another run")
        state = approval.state_at(ask, moment(entry["now"]))
        if state != "approved":
            raise wrong(f"is {state}")
        if shown is not None and entry.get("definition") != shown["definition"]:
            raise wrong("was given for another definition")
        votes = approval.counting(ask["votes"], facts.get("voters"), ())
        if decision.get("need") is None or not approval.is_met(decision["need"], votes):
            raise wrong("was not given by all who had to agree")
        if shown is not None and step is not None:
            self._use_step(id_, step, shown["times"], wrong)
            # The request about this call alone is not answered any more.
            single = facts.get("ask")
            if single is not None and single["action"] == entry["action"]:
                self._close(single["approval"])

    def _use_step(self, id_: str, step: int, times: int, wrong: Callable[[str], Malformed]) -> None:
        used = self._steps.setdefault(id_, [])
        if len(used) > step + 1:
            raise wrong("is used for a step after a later one")
        used.extend([0] * (step + 1 - len(used)))
        if used[step] >= times:
            raise wrong("is used more often than the step says")
        used[step] += 1

    def _close(self, id_: str) -> None:
        self._asks.pop(id_, None)
        self._closed.add(id_)

    def _concluded(self, position: int, entry: Object) -> None:
        action, outcome = entry.get("action"), entry.get("outcome")
        if action is None or outcome is None:
            raise Malformed("it is a conclusion without action or outcome")
        if outcome not in ("done", "failed", "unknown"):
            raise Malformed(f"`{outcome}` is no outcome")
        is_end, is_resolved = outcome != "unknown", "resolved_by" in entry
        if action not in self._over:
            raise Malformed(f"`{action}` ends without having been started")
        if self._over[action]:
            # Only the agent had said that it failed; somebody has found out what came of it.
            if not (is_end and is_resolved and action in self._doubtful):
                raise Malformed(f"`{action}` ends a second time")
            self._doubtful.remove(action)
            self._ends["failed"] -= 1
        elif self._open[action][0] == "unknown" and not (is_end and is_resolved):
            raise Malformed(f"`{action}` is unknown, and only somebody who found out can say more")
        elif is_end:
            del self._open[action]
        else:
            self._open[action] = ("unknown", position)
        if is_end:
            if entry.get("reported") and outcome == "failed":
                self._doubtful.add(action)
            self._over[action] = True
            self._ends[outcome] += 1

    def _other(self, position: int, kind: str, entry: Object) -> None:
        check = KINDS[kind]
        ENTRY(entry)
        if check:
            check(entry)
        if kind == "asked":
            self._asked(entry["ask"])
        elif kind == "answered":
            self._answered(entry)
        elif kind in ("expired", "withdrawn"):
            self._ended(kind, entry)
        elif kind == "fault":
            self.warn(position, f"fault `{entry['code']}`: {entry['message']}")

    def _asked(self, ask: Object) -> None:
        id_, known = ask["approval"], self._asks.get(ask["approval"])

        def wrong(what: str) -> Malformed:
            return Malformed(f"the approval `{id_}` {what}")

        ask = {**ask, "votes": [approval.vote(vote) for vote in ask.get("votes", [])]}
        if ask["state"] != "pending":
            raise wrong("is answered before it is asked for")
        if id_ in self._closed:
            raise wrong("is over, and is asked for again")
        if known is None:
            if ask["votes"]:
                raise wrong("has answers that are not on record")
        elif known["votes"] != ask["votes"]:
            raise wrong("has other answers than those on record")
        elif (known["digest"], known["action"]) != (ask["digest"], ask["action"]):
            raise wrong("is asked for something else now")
        self._asks[id_] = ask

    def _answered(self, entry: Object) -> None:
        id_ = entry["approval"]
        ask, vote = self._asks.get(id_), approval.vote(entry["vote"])
        if ask is None:
            raise Malformed(f"it answers `{id_}`, which nobody asks")
        if ask["action"] != entry["action"]:
            raise Malformed(f"it answers `{id_}` about another action")
        state = approval.admit(ask, vote, entry.get("voters"))
        if state != entry["state"]:
            raise Malformed(f"after it `{id_}` is {state}, not {entry['state']}")
        ask["state"] = state
        approval.take(ask, vote, entry.get("voters"))
        if state == "rejected":
            self._close(id_)

    def _ended(self, kind: str, entry: Object) -> None:
        id_, ask = entry["approval"], self._asks.get(entry["approval"])
        if ask is None:
            verb = "ends" if kind == "expired" else "withdraws"
            raise Malformed(f"it {verb} `{id_}`, which nobody asks")
        if kind == "withdrawn" and ask["action"] != entry["action"]:
            raise Malformed(f"it withdraws `{id_}` about another action")
        if kind == "expired":
            # Older entries say of each that nobody answered.
            lapses = ("unanswered", approval.lapse(ask))
            is_told = entry.get("lapse", "unanswered") in lapses and ask["action"] == entry["action"]
            if not is_told or approval.state_at(ask, moment(entry["at"])) != "expired":
                raise Malformed(f"`{id_}` had not expired, or not like this")
        self._close(id_)
