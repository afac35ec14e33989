"""Errors of the library: why something did not happen, as types with stable codes.

Every one of them means: do not act. `Unknown` and `Underway` are the only ones after which something may have
happened; all others say that nothing was executed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_PAGES = "https://aecl.dev/errors/"
_GUIDE = "https://aecl.dev/guides/python#"

#: Codes that only this library gives. Each has a heading in docs/guides/python.md.
LOCAL_CODES = frozenset(
    {
        "answer_lost",
        "answer_unreadable",
        "arguments_differ",
        "arguments_unfit",
        "binary_missing",
        "home_missing",
        "no_run",
        "permit_foreign",
        "permit_late",
        "report_lost",
        "report_refused",
        "server_foreign",
        "server_unreachable",
        "token_missing",
    }
)


@dataclass(frozen=True)
class Finding:
    """Reason of a decision: which check, its stable code, its verdict, and the same in words."""

    check: str
    code: str
    verdict: str
    message: str


#: Codes of what the model itself can put right by another call.
_CORRECTABLE = frozenset(
    {"action_unknown", "amount_invalid", "arguments_invalid", "arguments_not_object", "destination_invalid"}
    | {"json_number", "json_too_deep", "json_too_large"}
)
_POLICY = re.compile(r" \(polic(?:y|ies) [^)]*\)")


class Error(Exception):
    """Anything because of which an action did not happen, or may not be repeated.

    `code` is stable, `message` is for people and may change, `hint` says what to do next, `action` is the action on
    record (`act_…`) where there is one.
    """

    def __init__(
        self, code: str, message: str, *, hint: str | None = None, action: str | None = None, page: str | None = None
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.hint = hint
        self.action = action
        self._page = page

    @property
    def page(self) -> str:
        """Address of the page with cause, meaning and way out of the code."""
        if self._page is not None:
            return self._page
        return (_GUIDE if self.code in LOCAL_CODES else _PAGES) + self.code

    @property
    def for_model(self) -> str:
        """Text that may be given to the model: what happened, whether anything was executed, whether to try again."""
        return f"This did not happen [{self.code}]: {self._told}. Nothing was executed."

    @property
    def _told(self) -> str:
        # Which line of which file said so is for people.
        return _POLICY.sub("", self.message).rstrip(".")

    def __str__(self) -> str:
        hint = f"\nhint: {self.hint}" if self.hint else ""
        return f"{self.message} [{self.code}]{hint}\nsee: {self.page}"

    def __reduce__(self) -> tuple[Any, ...]:
        # An error crosses processes (queues, pools) with all that it says.
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(kind: type[Error], args: tuple[Any, ...], state: dict[str, Any]) -> Error:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class Refused(Error):
    """Refused by a decision that is on record."""

    findings: tuple[Finding, ...] = ()


class Blocked(Refused):
    """Refused by policy. `findings` say why; nobody can agree to it."""

    @property
    def for_model(self) -> str:
        if self.code in _CORRECTABLE:
            return f"Refused [{self.code}]: {self._told}. Nothing was executed. It may be corrected and tried again."
        return (
            f"Refused [{self.code}]: {self._told}. Nothing was executed. The same again will be refused, too; "
            "do not try to reach the same in another way."
        )


class Closed(Blocked):
    """Refused because the run has ended: a new task is a new run."""

    @property
    def for_model(self) -> str:
        return f"This task is over [{self.code}]: {self._told}. Nothing was executed; stop here."


class Rejected(Refused):
    """Refused by a person."""

    @property
    def for_model(self) -> str:
        return (
            f"A person said no [{self.code}]: {self._told}. Nothing was executed. Do not propose it again; "
            "say so to the user, or do something else."
        )


class Expired(Refused):
    """Nobody answered in time, or the yes was not used in time."""

    @property
    def for_model(self) -> str:
        return f"Nobody agreed in time [{self.code}]: {self._told}. Nothing was executed. It may be proposed again."


class Pending(Error):
    """It waits for people; nothing was executed.

    `approval` is the id of the request, `url` the page where it is answered, `card` what is asked and why as plain
    text, `expires_at` (RFC 3339) until when. Propose exactly the same again after the yes: in this process, or in
    another one that has `aecl.resume(run, token)`, with the same `call_id` where one was given.
    """

    def __init__(
        self, message: str, *, approval: str, url: str, card: str, expires_at: str, run: str, name: str, action: str
    ) -> None:
        super().__init__("approval_pending", message, action=action)
        self.approval = approval
        self.url = url
        self.card = card
        self.expires_at = expires_at
        self.run = run
        self.name = name
        self.call_id: str | None = None
        self.arguments: dict[str, Any] = {}
        self.plan_hint: str | None = None
        self.hint = f"answer at {url}, then run the same step again (aecl.resume in another process)"

    @property
    def for_model(self) -> str:
        return (
            f"`{self.name}` waits for a person ({self.approval}, until {self.expires_at}). Nothing was executed. Do "
            "not propose it with other arguments; go on with something else or end here, and the same step is run "
            "again after the answer."
        )

    def __str__(self) -> str:
        return f"{self.card}\n\n{self.message} [{self.code}]\nhint: {self.hint}\nsee: {self.page}"


class Failed(Error):
    """It was tried and surely did not happen; that is on record."""

    @property
    def for_model(self) -> str:
        return f"It was tried and failed [{self.code}]: {self._told}. It did not happen."


class NotDone(Exception):
    """Raised by a guarded function, or by its `lookup`: surely nothing has happened. Reported as `failed`."""


class Unknown(Error):
    """It may have happened, and nobody knows. Do not repeat it; a person finds out (`aecl resolve`).

    `output` is what the function returned, where it did and only the record of it is missing.
    """

    output: Any = None

    @property
    def for_model(self) -> str:
        return (
            f"It may or may not have happened [{self.code}]: {self._told}. Do not repeat it and do not try it in "
            "another way; a person has to find out first."
        )


class Underway(Error):
    """The same call id is being carried out, or its process died less than 90 s ago. It is not done twice."""

    @property
    def for_model(self) -> str:
        return f"It is underway already [{self.code}]: {self._told}. Wait; do not propose it again."


class AlreadyDone(Error):
    """This call id was done before; nothing is to be done now. `output` is what was recorded."""

    output: Any = None

    @property
    def for_model(self) -> str:
        return "It was done before, and was not done again."


class Invalid(Error):
    """This is no proposal: wrong types, an unknown agent, a request that is not understood."""

    @property
    def for_model(self) -> str:
        return f"The call is wrong [{self.code}]: {self._told}. Nothing was executed. It may be corrected and tried."


class Unauthorized(Error):
    """The credential is missing, does not count any more, or may not do this."""

    @property
    def for_model(self) -> str:
        return f"The program around you may not do this [{self.code}]. Nothing was executed; stop here."


class Unavailable(Error):
    """No server, no answer in time, or an answer that is not understood: it does not happen."""

    #: Whether the request may have reached the server.
    sent: bool = True

    @property
    def for_model(self) -> str:
        return f"The control layer did not answer [{self.code}]. Nothing was executed. Try later, or stop here."
