"""What came of it: done, failed, unknown, and never silence."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import aecl
from house import AGENT, GOAL, House, Relay, line, worker


def test_an_exception_is_unknown_unless_it_says_that_nothing_happened(house: House, run: aecl.Run) -> None:
    def fails(error: Exception) -> Any:
        def write_note(text: str) -> None:
            raise error

        return run.guard(surely_failed=(KeyError,))(write_note)

    with pytest.raises(TimeoutError):
        fails(TimeoutError("the bank is silent"))("a")
    assert (house.last(run.id)["state"], house.last(run.id)["code"]) == ("unknown", "TimeoutError")
    assert "the bank is silent" in house.last(run.id)["message"]
    with pytest.raises(aecl.NotDone):
        fails(aecl.NotDone("no such account"))("b")
    assert house.last(run.id)["state"] == "failed"
    with pytest.raises(KeyError):
        fails(KeyError("c"))("c")
    assert house.last(run.id)["state"] == "failed"


def test_unknown_is_never_repeated(run: aecl.Run) -> None:
    tried: list[str] = []

    @run.guard
    def write_note(text: str) -> None:
        tried.append(text)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        write_note.once("one")("a")
    with pytest.raises(aecl.Unknown) as unknown:
        write_note.once("one")("a")
    assert tried == ["a"]
    assert "Do not repeat" in unknown.value.for_model


def test_failed_stays_failed(run: aecl.Run) -> None:
    @run.guard
    def write_note(text: str) -> None:
        raise aecl.NotDone("the disk is full")

    with pytest.raises(aecl.NotDone):
        write_note.once("one")("a")
    with pytest.raises(aecl.Failed) as failed:
        write_note.once("one")("a")
    assert "the disk is full" in failed.value.message


def test_a_look_up_finds_out(house: House, run: aecl.Run) -> None:
    books: dict[str, str] = {}

    def find(text: str) -> dict[str, str]:
        if text not in books:
            raise aecl.NotDone(text)
        return {"id": books[text]}

    @run.guard(lookup=find)
    def write_note(text: str) -> dict[str, str]:
        if text == "arrives":
            books[text] = "n-1"
        raise TimeoutError

    assert write_note("arrives") == {"id": "n-1"}
    assert house.last(run.id)["output"] == {"id": "n-1"}
    with pytest.raises(TimeoutError):
        write_note("is lost")
    assert house.last(run.id)["state"] == "failed"


def test_a_block_that_says_nothing_is_unknown(house: House, run: aecl.Run) -> None:
    with run.action("write_note", {"text": "a"}) as permit:
        pass
    assert house.action(permit.action)["code"] == "nothing_said"
    with pytest.raises(ValueError, match="half done"), run.action("write_note", {"text": "b"}) as permit:
        raise ValueError("half done")
    assert house.action(permit.action)["state"] == "unknown"
    with run.action("write_note", {"text": "c"}) as permit:
        permit.failed("no paper")
    assert house.action(permit.action)["state"] == "failed"
    with pytest.raises(KeyboardInterrupt), run.action("write_note", {"text": "d"}) as permit:
        raise KeyboardInterrupt
    assert house.action(permit.action)["state"] == "unknown"


def test_the_end_of_a_process_reports_what_nobody_has(house: House, run: aecl.Run) -> None:
    script = """
import aecl, os, sys, threading
run = aecl.resume()
started = threading.Event()
@run.guard
def write_note(text: str) -> None:
    started.set()
    threading.Event().wait()
# A thread that does not hold up the end of its process, in the middle of an action.
threading.Thread(target=lambda: write_note("a"), daemon=True).start()
started.wait()
print("acting", flush=True)
sys.exit(0)
"""
    with worker(script, AECL_URL=house.url, AECL_TOKEN=run.token) as process:
        assert line(process) == "acting"
        assert process.wait(30) == 0
    assert (house.last(run.id)["state"], house.last(run.id)["code"]) == ("unknown", "process_ended")


def test_an_output_that_cannot_be_recorded_is_done_all_the_same(house: House, run: aecl.Run) -> None:
    def gives(value: Any) -> Any:
        def write_note(text: str) -> Any:
            return value

        return run.guard(write_note)

    thing = object()
    for name, value in (("object", thing), ("huge", "x" * (5 << 20)), ("nan", float("nan"))):
        assert gives(value).once(name)(name) is value
        assert (house.last(run.id)["state"], house.last(run.id)["code"]) == ("done", "output_unrecorded")
        with pytest.raises(aecl.AlreadyDone):
            gives(value).once(name)(name)
    assert gives(None).once("none")("none") is gives(None).once("none")("none") is None
    assert gives({"id": 2**60}).once("big")("big") == {"id": 2**60}


def test_what_comes_back_from_the_record_can_be_read(run: aecl.Run) -> None:
    @run.guard("write_note", encode=lambda n: {"n": str(n)}, decode=lambda of: complex(of["n"]))
    def note(text: str) -> complex:
        return 1 + 2j

    assert note.once("a")("a") == note.once("a")("a") == 1 + 2j


def test_a_report_whose_answer_is_lost_is_sent_again(house: House, relay: Relay) -> None:
    with aecl.Client(url=relay.url, token=house.key) as client, client.open_run(agent=AGENT, goal=GOAL) as run:
        lost: list[str] = []

        def once(method: str, path: str) -> bool:
            if path.endswith("/outcome") and not lost:
                lost.append(path)
                return True
            return False

        done: list[str] = []

        @run.guard
        def write_note(text: str) -> str:
            done.append(text)
            return "written"

        relay.drop_answer = once
        assert write_note("a") == "written"
        del lost[:]
        relay.drop_request, relay.drop_answer = once, lambda method, path: False
        assert write_note("b") == "written"
        assert done == ["a", "b"]
        assert house.last(run.id)["state"] == "done"
        assert sum(path.endswith("/outcome") for _, path, _ in relay.seen) == 4


def test_a_report_that_never_arrives_is_said(
    house: House, relay: Relay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("aecl._flow.REPORT_S", 0.5)
    with aecl.Client(url=relay.url, token=house.key) as client, client.open_run(agent=AGENT, goal=GOAL) as run:
        relay.drop_request = lambda method, path: path.endswith("/outcome")

        @run.guard
        def write_note(text: str) -> str:
            return "written"

        with pytest.raises(aecl.Unknown) as unknown:
            write_note("a")
        assert unknown.value.code == "report_lost"
        # What was done is not lost with the news of it.
        assert unknown.value.output == "written"
        assert unknown.value.action is not None
        assert unknown.value.action in str(unknown.value)

        @run.guard("write_note")
        def fails(text: str) -> str:
            raise ValueError(text)

        with pytest.raises(aecl.Unknown) as hidden:
            fails("b")
        assert isinstance(hidden.value.__cause__, ValueError)
        relay.drop_request = lambda method, path: False
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
