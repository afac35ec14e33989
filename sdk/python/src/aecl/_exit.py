"""Permits of this process that nobody has reported on. At its end they are reported as unknown.

A process that is killed reports nothing; the server then says the same 90 s after the permit (`no_report`).
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time

from . import _flow
from ._flow import State
from ._transport import Line, Place
from .errors import Error

_log = logging.getLogger("aecl")
_lock = threading.Lock()
_open: dict[str, tuple[int, State, Place]] = {}
#: How long the end of a process may be held up, in seconds.
_END_S = 5.0


def begun(action: str, state: State, at: Place) -> None:
    """Notes a permit that is about to be used."""
    with _lock:
        _open[action] = (os.getpid(), state, at)


def ended(action: str) -> None:
    """Strikes it out: its outcome is on record, or somebody was told that it is not."""
    with _lock:
        _open.pop(action, None)


def _report_all() -> None:
    with _lock:
        # After a fork the permits are still those of the process that asked for them.
        left = {action: of for action, of in _open.items() if of[0] == os.getpid()}
        _open.clear()
    until = time.monotonic() + _END_S
    for action, (_, state, at) in left.items():
        line = Line(at)
        try:
            why = "the process ended before it said what came of it"
            tries_s = max(until - time.monotonic(), 0.1)
            line.drive(_flow.report(state, action, "unknown", None, "process_ended", why, tries_s))
        except (Error, RuntimeError) as error:
            _log.error("%s: what came of it could not be reported: %s", action, error)
        finally:
            line.close()


atexit.register(_report_all)
