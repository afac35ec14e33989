"""A worker that is killed, as the record has it: the server's own lease ends it as unknown."""

from __future__ import annotations

import pytest

import aecl


def test_a_killed_worker_ends_as_unknown_and_is_not_repeated(killed: aecl.Run) -> None:
    @killed.guard
    def write_note(text: str) -> None:
        raise AssertionError("it may have happened")

    # The same step again waits for what becomes of the first, which is known once the lease is over.
    with pytest.raises(aecl.Unknown) as unknown:
        write_note.once("one", wait=150)("a")
    assert unknown.value.code == "no_report"
