"""AECL for Python: ask before a tool acts.

    import aecl

    @aecl.guard
    def read_invoice(invoice: str) -> dict[str, str]: ...

    with aecl.open_run(agent="assistant", goal="Pay the invoices that are due."):
        read_invoice("2026-118")

A guarded function is called only with a permit of AECL for exactly its arguments; what came out is reported. Whatever
goes wrong is an `aecl.Error`, and means that it does not happen. docs/guides/python.md has the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._api import (
        AlreadyDone,
        AsyncClient,
        AsyncGuarded,
        AsyncRun,
        Blocked,
        Client,
        Closed,
        Done,
        Error,
        Expired,
        Failed,
        Finding,
        Guarded,
        Invalid,
        NotDone,
        Opening,
        Pending,
        Permit,
        Refused,
        Rejected,
        Run,
        Unauthorized,
        Unavailable,
        Underway,
        Unknown,
        Worker,
        WorkerCall,
        aguard,
        aopen_run,
        aresume,
        current_run,
        guard,
        open_run,
        resume,
        worker_call,
    )

__all__ = [
    "AlreadyDone",
    "AsyncClient",
    "AsyncGuarded",
    "AsyncRun",
    "Blocked",
    "Client",
    "Closed",
    "Done",
    "Error",
    "Expired",
    "Failed",
    "Finding",
    "Guarded",
    "Invalid",
    "NotDone",
    "Opening",
    "Pending",
    "Permit",
    "Refused",
    "Rejected",
    "Run",
    "Unauthorized",
    "Unavailable",
    "Underway",
    "Unknown",
    "Worker",
    "WorkerCall",
    "aguard",
    "aopen_run",
    "aresume",
    "current_run",
    "guard",
    "open_run",
    "resume",
    "worker_call",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Only when it is used: `aecl.verify` needs nothing but Python, and so no httpx.
    if name not in __all__:
        raise AttributeError(f"module `aecl` has no `{name}`")
    from . import _api

    found = getattr(_api, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
