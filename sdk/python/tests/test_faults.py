"""Faults of real processes and connections: whatever breaks, it does not happen, or it is said."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

import aecl
from aecl import _wire
from house import AGENT, GOAL, House, Relay, line, worker


def never(text: str) -> None:
    raise AssertionError("it was not permitted")


def echo(text: str) -> str:
    return text


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_no_server_no_action(house: House) -> None:
    with aecl.Client(url=f"http://127.0.0.1:{closed_port()}", token=house.key) as client:
        with pytest.raises(aecl.Unavailable) as gone:
            client.open_run(agent=AGENT, goal=GOAL)
        assert gone.value.code == "server_unreachable"
        assert "Nothing was executed" in gone.value.for_model


def test_a_server_that_dies_before_the_permit(own_house: House) -> None:
    with aecl.Client(url=own_house.url, token=own_house.key) as client:
        run = client.open_run(agent=AGENT, goal=GOAL)
        own_house.kill()
        with pytest.raises(aecl.Unavailable):
            run.guard("write_note")(never)("a")
        with pytest.raises(aecl.Unavailable), run.action("write_note", {"text": "a"}):
            raise AssertionError("it was not permitted")
        own_house.start()
        # The same run goes on; nothing of what was not answered is on record.
        assert run.look()["calls"] == 0
        assert run.guard("write_note")(echo)("b") == "b"


def test_a_server_that_dies_between_permit_and_report(own_house: House) -> None:
    with (
        aecl.Client(url=own_house.url, token=own_house.key) as client,
        client.open_run(agent=AGENT, goal=GOAL) as run,
    ):
        done: list[str] = []

        @run.guard
        def write_note(text: str) -> str:
            own_house.kill()
            done.append(text)
            own_house.start()
            return "written"

        assert write_note.once("one")("a") == "written"
        assert write_note.once("one")("a") == "written"
        assert done == ["a"]


def test_a_server_that_dies_while_people_are_asked(own_house: House) -> None:
    with (
        aecl.Client(url=own_house.url, token=own_house.key) as client,
        client.open_run(agent=AGENT, goal=GOAL) as run,
    ):

        @run.guard
        def transfer_funds(to: str, amount: str, currency: str) -> str:
            return "paid"

        with pytest.raises(aecl.Pending) as held:
            transfer_funds.once("one")("vendor-1", "5.00", "EUR")
        own_house.kill()
        own_house.start()
        own_house.yes(held.value.approval)
        assert transfer_funds.once("one")("vendor-1", "5.00", "EUR") == "paid"


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_a_proposal_that_is_lost_on_the_way_does_not_happen(house: House, relay: Relay, lost: str) -> None:
    with aecl.Client(url=relay.url, token=house.key) as client, client.open_run(agent=AGENT, goal=GOAL) as run:

        def drop(method: str, path: str) -> bool:
            return path == "/v1/actions"

        if lost == "request":
            relay.drop_request = drop
        else:
            relay.drop_answer = drop
        with pytest.raises(aecl.Unavailable):
            run.guard("write_note")(never)("a")
        # It is not tried again behind the caller's back.
        assert sum(path == "/v1/actions" for _, path, _ in relay.seen) == 1
        relay.drop_request = relay.drop_answer = lambda method, path: False


def test_an_execution_whose_answer_is_lost_is_asked_for_again_and_done_once(house: House, relay: Relay) -> None:
    with aecl.Client(url=relay.url, token=house.key) as client, client.open_run(agent=AGENT, goal=GOAL) as run:
        lost: list[str] = []

        def once(method: str, path: str) -> bool:
            lost.append(path)
            return path == "/v1/actions" and lost.count(path) == 1

        relay.drop_answer = once
        done = run.execute("count_stock", {"thing": "tea"})
        assert done.replayed
        assert len(house.entries(run.id, "started")) == 1
        relay.drop_answer = lambda method, path: path == "/v1/actions"
        with pytest.raises(aecl.Unknown) as unknown:
            run.execute("count_stock", {"thing": "tea"})
        assert unknown.value.code == "answer_lost"
        relay.drop_answer = lambda method, path: False


CHANGES: dict[str, tuple[int | None, bytes, bytes]] = {
    "an unknown field": (None, b'{"action":', b'{"condition":"only on Mondays","action":'),
    "a doubled field": (None, b'"state":"permitted"', b'"state":"blocked","state":"permitted"'),
    "an unknown state": (None, b'"state":"permitted"', b'"state":"granted"'),
    "done in place of a permit": (None, b'"state":"permitted"', b'"state":"done"'),
    "another action in the answer": (None, b'"action":"act_', b'"action":"act_x'),
    "a wrong type": (None, b'"state":"permitted"', b'"replayed":1,"state":"permitted"'),
    "a status of its own": (206, b"", b""),
    "a redirection": (303, b"", b""),
    "half an answer": (None, b'"state":"permitted"', b'"state":"permitted'),
    "no JSON": (None, b"{", b"<"),
    "an error of something in between": (502, b"", b""),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_answer_that_is_not_understood_permits_nothing(house: House, relay: Relay, name: str) -> None:
    status, old, new = CHANGES[name]

    def change(method: str, path: str, was: int, body: bytes) -> tuple[int, bytes]:
        if path != "/v1/actions":
            return was, body
        assert old in body
        return status or was, body.replace(old, new, 1)

    with aecl.Client(url=relay.url, token=house.key) as client, client.open_run(agent=AGENT, goal=GOAL) as run:
        relay.change = change
        with pytest.raises(aecl.Unavailable) as refused:
            run.guard("write_note")(never)("a")
        assert refused.value.code in ("answer_unreadable", "permit_foreign")


def test_a_permit_of_another_call_permits_nothing(house: House, relay: Relay) -> None:
    permits: list[bytes] = []

    def swap(method: str, path: str, was: int, body: bytes) -> tuple[int, bytes]:
        if path == "/v1/actions":
            permits.append(body)
            return was, permits[0]
        return was, body

    with aecl.Client(url=relay.url, token=house.key) as client, client.open_run(agent=AGENT, goal=GOAL) as run:
        relay.change = swap
        assert run.guard("write_note")(echo)("harmless") == "harmless"
        with pytest.raises(aecl.Error) as refused:
            run.guard("write_note")(never)("evil")
        assert refused.value.code == "arguments_differ"


def test_a_server_that_hangs_is_no_answer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that takes connections and says nothing."""
    monkeypatch.setattr("aecl._transport.ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with aecl.Client(url=url, token=house.key) as client, pytest.raises(aecl.Unavailable):
            client.open_run(agent=AGENT, goal=GOAL)


def test_credentials_that_are_missing_or_wrong(house: House, run: aecl.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AECL_TOKEN", raising=False)
    with aecl.Client(url=house.url) as nobody:
        with pytest.raises(aecl.Unauthorized) as missing:
            nobody.open_run(agent=AGENT, goal=GOAL)
        assert missing.value.code == "token_missing"
        assert "keys add orchestrator" in str(missing.value)
        with pytest.raises(aecl.Unauthorized):
            nobody.resume(run.id)
        with pytest.raises(aecl.Unauthorized):
            nobody.resume(run.id, "nonsense")
        head, body, _ = run.token.split(".")
        with pytest.raises(aecl.Unauthorized) as forged:
            nobody.resume(run.id, f"{head}.{body}.{'A' * 86}")
        assert forged.value.code == "token_invalid"
        assert forged.value.page.startswith("https://")
    with aecl.Client(url=house.url, token="aecl_o_nonsense") as stranger, pytest.raises(aecl.Unauthorized):
        stranger.open_run(agent=AGENT, goal=GOAL)
    with aecl.Client(url=house.url, token=house.key) as client:
        with pytest.raises(aecl.Error) as unknown:
            client.open_run(agent="nobody", goal=GOAL)
        assert unknown.value.code in ("agent_unknown", "forbidden")


def test_a_closed_run_does_nothing_more(client: aecl.Client) -> None:
    with client.open_run(agent=AGENT, goal=GOAL) as run:
        note = run.guard("write_note")(never)
    with pytest.raises(aecl.Closed) as closed:
        note("a")
    assert closed.value.code == "run_closed"
    assert "stop here" in closed.value.for_model


def test_an_unknown_action_is_blocked_and_a_near_name_is_told(run: aecl.Run) -> None:
    with pytest.raises(aecl.Blocked) as unknown:
        run.execute("write_notes", {"text": "a"})
    assert unknown.value.code == "action_unknown"
    assert "write_note" in unknown.value.for_model


def test_a_worker_that_is_killed_between_permit_and_report_never_repeats(house: House, run: aecl.Run) -> None:
    script = """
import aecl, sys
run = aecl.resume()
@run.guard
def write_note(text: str) -> None:
    print("acting", flush=True)
    sys.stdin.read()
write_note.once("one")("a")
"""
    with worker(script, AECL_URL=house.url, AECL_TOKEN=run.token) as process:
        assert line(process) == "acting"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    # The server waits for a report that can still come; until then it counts as underway, then as unknown.
    with pytest.raises(aecl.Underway):
        run.guard("write_note")(never).once("one")("a")


def test_two_processes_with_one_call_act_once(house: House, run: aecl.Run, tmp_path: Path) -> None:
    """Duplicate delivery: a queue gives one step to several workers."""
    script = """
import aecl, os, sys
run = aecl.resume(wait=60)
@run.guard
def write_note(text: str) -> int:
    with open(os.environ["BOOK"], "a") as book:
        book.write(text)
    return os.getpid()
print("ready", flush=True)
sys.stdin.readline()
print(write_note.once("one")("a"), flush=True)
"""
    book = tmp_path / "book"
    environment = {"AECL_URL": house.url, "AECL_TOKEN": run.token, "BOOK": str(book)}
    with worker(script, **environment) as a, worker(script, **environment) as b, worker(script, **environment) as c:
        assert [line(one) for one in (a, b, c)] == ["ready"] * 3
        for one in (a, b, c):
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        assert len({line(one) for one in (a, b, c)}) == 1
    assert book.read_text() == "a"


def test_a_clock_that_is_wrong_stops_nothing_and_revives_nothing(house: House, run: aecl.Run) -> None:
    """The library goes by what has passed, and by no date."""
    script = """
import datetime, time
real = time.time
time.time = lambda: real() + 3600
import aecl
run = aecl.resume()
@run.guard
def write_note(text: str) -> str:
    return text
print(write_note("a"), flush=True)
run._state.since -= run._state.lives_s
time.time = lambda: real() - 3600
print(write_note("b"), flush=True)
"""
    with worker(script, AECL_URL=house.url, AECL_TOKEN=run.token) as process:
        assert (line(process), line(process)) == ("a", "b")


def test_a_token_that_was_revoked_is_not_renewed_behind_anybodys_back(house: House, client: aecl.Client) -> None:
    run = client.open_run(agent=AGENT, goal=GOAL)
    state: Any = run._state
    token = _wire.claims(run.token)["jti"]

    @run.guard("write_note")
    def note(text: str) -> str:
        house.people("POST", f"/v1/runs/{run.id}/tokens/{token}/revoke", {"reason": "stolen"})
        return text

    # It was done, and the token that would say so is gone: that is no silence, and no lie.
    with pytest.raises(aecl.Unknown) as unsaid:
        note("a")
    assert (unsaid.value.code, unsaid.value.output) == ("report_refused", "a")
    for age in (0.0, 0.9, 1.1):
        state.since = time.monotonic() - state.lives_s * age
        with pytest.raises(aecl.Error) as revoked:
            run.guard("write_note")(never)("b")
        assert revoked.value.code == "token_revoked"
        assert _wire.claims(run.token)["jti"] == token


def test_tokens_are_renewed_before_they_end(
    house: House, client: aecl.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.open_run(agent=AGENT, goal=GOAL) as run:
        first = run.token
        state: Any = run._state
        state.since -= state.lives_s * 0.9
        assert run.guard("write_note")(echo)("a") == "a"
        assert run.token != first
    with client.open_run(agent=AGENT, goal=GOAL) as run, aecl.Client(url=house.url) as other:
        # Without a key, by the run's own token.
        again = other.resume(run.id, run.token)
        state = again._state
        state.since -= state.lives_s * 0.9
        assert again.guard("write_note")(echo)("a") == "a"
        assert again.token != run.token
