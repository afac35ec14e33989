"""Workers as real processes against the real server: what they carry out, and what is left when something dies."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

import aecl
from house import AGENT, BIN, GOAL, House, line
from house import aecl as command
from work import ACTIONS, Wire, WorkHouse, until

ARGUMENTS = {"to": "ann", "amount": "5"}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Generator[WorkHouse]:
    made = WorkHouse(tmp_path_factory.mktemp("work") / "home")
    yield made
    made.house.stop()


@pytest.fixture
def own_work(tmp_path: Path) -> Generator[WorkHouse]:
    made = WorkHouse(tmp_path / "home")
    yield made
    made.house.stop()


@pytest.fixture
def run(work: WorkHouse) -> Generator[aecl.Run]:
    work.bank.unlink(missing_ok=True)
    until(lambda: not work.connected())
    with aecl.Client(url=work.house.url, token=work.house.key) as client:
        yield client.open_run(agent=AGENT, goal=GOAL)


@pytest.fixture
def apart() -> Generator[Callable[..., concurrent.futures.Future[Any]]]:
    """Something in a thread of its own."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        yield pool.submit


def fails(run: aecl.Run, name: str) -> None:
    """Nobody who asks a server that is killed gets an answer."""
    with pytest.raises(aecl.Error):
        run.execute(name, ARGUMENTS)


def concluded(work: WorkHouse, run: aecl.Run) -> list[dict[str, Any]]:
    return work.house.entries(run.id, "concluded")


def test_a_worker_carries_out_what_the_agent_has_no_key_for_and_undoes_it(work: WorkHouse, run: aecl.Run) -> None:
    with work.worker("one"):
        done = run.execute("pay", ARGUMENTS)
        assert len(work.book()) == 1
        assert done.output["id"] in work.book()[0]
        undone = work.house.people("POST", f"/v1/actions/{done.action}/rollback", {"reason": "wrong"})
        assert undone["state"] == "done"
        assert work.book()[1] == f"back {done.output['id']}"


def test_without_a_worker_it_is_not_executed(work: WorkHouse, run: aecl.Run) -> None:
    with pytest.raises(aecl.Failed) as said:
        run.execute("nobody", ARGUMENTS)
    assert said.value.code == "worker_unavailable"
    assert "was not executed" in said.value.message


def test_a_worker_that_dies_before_it_accepts_leaves_the_call_to_another(
    work: WorkHouse, run: aecl.Run, apart: Any
) -> None:
    with work.worker("one", "die offered") as dies:
        underway = apart(run.execute, "pay", ARGUMENTS)
        dies.wait(30)
        with work.worker("two"):
            assert underway.result(60).output["id"]
    assert [entry.split()[-1] for entry in work.book()] == ["two"]


def test_a_worker_that_dies_after_it_has_accepted_is_found_out_by_another(
    work: WorkHouse, run: aecl.Run, apart: Any
) -> None:
    with work.worker("one", "die accepted") as dies:
        underway = apart(run.execute, "pay", ARGUMENTS)
        dies.wait(30)
        with pytest.raises(aecl.Unknown) as said:
            underway.result(60)
    assert said.value.code == "worker_lost"
    action = said.value.action or ""
    assert work.house.action(action)["state"] == "unknown"
    with work.worker("two"):
        until(lambda: work.house.action(action)["state"] == "failed")
    assert concluded(work, run)[-1]["resolved_by"] == "reconciler"
    assert work.book() == []


def test_a_worker_that_dies_after_it_has_acted_is_found_out_by_another(
    work: WorkHouse, run: aecl.Run, apart: Any
) -> None:
    with work.worker("one", "die acted") as dies:
        underway = apart(run.execute, "pay", ARGUMENTS)
        dies.wait(30)
        with pytest.raises(aecl.Unknown) as said:
            underway.result(60)
    action = said.value.action or ""
    with work.worker("two"):
        until(lambda: work.house.action(action)["state"] == "done")
    assert [entry.split()[-1] for entry in work.book()] == ["one"], "and nothing was done twice"


def test_what_was_before_is_kept_and_given_back(work: WorkHouse, run: aecl.Run) -> None:
    with work.worker("one"):
        run.execute("rename", {"name": "tea"})
        done = run.execute("rename", {"name": "milk"})
        assert done.output == {"output": "renamed", "snapshot": {"name": "tea"}}
        undone = work.house.people("POST", f"/v1/actions/{done.action}/rollback", {"reason": "wrong"})
        assert undone["state"] == "done"
    assert work.book() == ["shelf tea", "shelf milk", "shelf tea"]


def test_what_an_exception_of_a_worker_means(work: WorkHouse, run: aecl.Run) -> None:
    with work.worker("one"):
        for name, error in (("unreadable", aecl.Failed), ("taken", aecl.Failed), ("odd", aecl.Unknown)):
            with pytest.raises(error):
                run.execute("rename", {"name": name})
    assert work.book() == ["shelf odd"], "without what was before nothing is done"
    assert [entry["outcome"] for entry in concluded(work, run)] == ["failed", "failed", "unknown"]


def test_what_undoes_nothing_that_a_worker_does_does_not_load(tmp_path: Path) -> None:
    home = House.made(tmp_path / "home").home
    wrong = {**ACTIONS[1], "connector": {"kind": "worker", "compensates": "write_note"}}
    (home / "policy/actions/work.json").write_text(json.dumps([wrong]))
    said = subprocess.run([BIN, "--dir", str(home), "policy", "check"], capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert "`compensates` names `write_note`" in said.stdout + said.stderr


def test_a_key_that_is_taken_out_takes_nothing_more(own_work: WorkHouse) -> None:
    work = own_work
    with (
        work.worker("one") as worker,
        aecl.Client(url=work.house.url, token=work.house.key) as client,
    ):
        run = client.open_run(agent=AGENT, goal=GOAL)
        assert run.execute("pay", ARGUMENTS).output["id"]
        command(work.house.home, "keys", "remove", "one")
        until(lambda: worker.poll() is not None)
        assert worker.stderr is not None
        assert "Unauthorized" in worker.stderr.read()
        assert work.connected() == []


def test_what_nobody_can_look_up_stays_unknown(work: WorkHouse, run: aecl.Run, apart: Any) -> None:
    with work.worker("one", "die acted") as dies:
        underway = apart(run.execute, "give", ARGUMENTS)
        dies.wait(30)
        with pytest.raises(aecl.Unknown):
            underway.result(60)
    assert len(work.book()) == 1


def test_a_server_that_dies_before_it_hands_over_has_nothing_done(own_work: WorkHouse, apart: Any) -> None:
    work = own_work
    with aecl.Client(url=work.house.url, token=work.house.key) as client:
        run = client.open_run(agent=AGENT, goal=GOAL)
        with work.worker("one", "say offered") as worker:
            apart(fails, run, "pay")
            assert line(worker) == "offered"
            work.house.kill()
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
            work.house.start()
            action = work.house.entries(run.id, "started")[0]["action"]
            until(lambda: work.house.action(action)["state"] == "failed")
    assert work.book() == []


def test_a_server_that_dies_after_it_has_handed_over_takes_the_report_of_its_worker_afterwards(
    own_work: WorkHouse, apart: Any
) -> None:
    work = own_work
    with aecl.Client(url=work.house.url, token=work.house.key) as client:
        run = client.open_run(agent=AGENT, goal=GOAL)
        with work.worker("one", "say acted") as worker:
            apart(fails, run, "give")
            assert line(worker) == "acted"
            work.house.kill()
            work.house.start()
            action = work.house.entries(run.id, "started")[0]["action"]
            assert work.house.action(action)["state"] == "unknown"
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
            until(lambda: work.house.action(action)["state"] == "done")
    ends = concluded(work, run)
    assert [end["outcome"] for end in ends] == ["unknown", "done"]
    assert ends[-1]["resolved_by"] == "worker:one"
    assert len(work.book()) == 1


@pytest.mark.parametrize("arrives", [True, False])
def test_a_network_that_is_cut_during_the_report_loses_nothing(work: WorkHouse, run: aecl.Run, arrives: bool) -> None:
    wire = Wire(work.house, b"/v1/workers/report", arrives=arrives, times=3)
    with work.worker("one", url=wire.url):
        done = run.execute("give", ARGUMENTS)
    wire.close()
    assert wire.times < 3
    assert len(work.book()) == 1
    assert [end["outcome"] for end in concluded(work, run)] == ["done"]
    assert done.output["id"] in work.book()[0]


def test_a_network_that_is_cut_during_the_acceptance_does_nothing_twice(work: WorkHouse, run: aecl.Run) -> None:
    wire = Wire(work.house, b"/v1/workers/accept", arrives=True, times=2)
    with work.worker("one", url=wire.url):
        run.execute("give", ARGUMENTS)
    wire.close()
    assert wire.times == 0
    assert len(work.book()) == 1


@pytest.mark.parametrize("off_s", ["3600", "-3600"])
def test_a_clock_that_is_off_by_an_hour_breaks_nothing(work: WorkHouse, run: aecl.Run, off_s: str) -> None:
    with work.worker("one", CLOCK=off_s):
        assert run.execute("pay", ARGUMENTS).output["id"]


def test_a_late_answer_settles_what_is_unknown_and_is_told_apart(work: WorkHouse, run: aecl.Run, apart: Any) -> None:
    with work.worker("one", "say acted") as worker:
        underway = apart(run.execute, "give", ARGUMENTS)
        assert line(worker) == "acted"
        worker.send_signal(signal.SIGSTOP)
        with pytest.raises(aecl.Unknown) as said:
            underway.result(60)
        assert said.value.code == "worker_lost"
        worker.send_signal(signal.SIGCONT)
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
        until(lambda: work.house.action(said.value.action or "")["state"] == "done")
    ends = concluded(work, run)
    assert [(end["outcome"], end.get("resolved_by")) for end in ends] == [("unknown", None), ("done", "worker:one")]


def test_a_late_answer_changes_nothing_that_is_known(work: WorkHouse, run: aecl.Run, apart: Any) -> None:
    with work.worker("one", "say acted") as worker:
        underway = apart(run.execute, "give", ARGUMENTS)
        assert line(worker) == "acted"
        worker.send_signal(signal.SIGSTOP)
        with pytest.raises(aecl.Unknown) as said:
            underway.result(60)
        action = said.value.action or ""
        work.house.people("POST", f"/v1/actions/{action}/resolve", {"done": False, "note": "not in the books"})
        worker.send_signal(signal.SIGCONT)
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()

        def noted() -> bool:
            return "worker_late" in command(work.house.home, "log", "tail", "--json", "-n", "50")

        until(noted)
        assert work.house.action(action)["state"] == "failed"
    assert [end["outcome"] for end in concluded(work, run)] == ["unknown", "failed"]


def test_a_worker_that_is_told_to_end_ends_what_it_has_and_takes_nothing_new(
    work: WorkHouse, run: aecl.Run, apart: Any
) -> None:
    with work.worker("one", "say acted") as worker:
        first = apart(run.execute, "pay", ARGUMENTS)
        assert line(worker) == "acted"
        worker.send_signal(signal.SIGTERM)
        until(lambda: [w["state"] for w in work.connected()] != ["ready"])
        second = apart(run.execute, "pay", {"to": "ben", "amount": "6"})
        with work.worker("two"):
            assert second.result(60).output["id"]
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert first.result(60).output["id"]
        assert line(worker) == "ended"
        assert worker.wait(30) == 0
    assert sorted(entry.split()[1:] for entry in work.book()) == [["5", "one"], ["6", "two"]]


def test_several_workers_share_what_there_is(work: WorkHouse, run: aecl.Run, apart: Any) -> None:
    with work.worker("one", SLOTS="1"), work.worker("two", SLOTS="1"):
        calls = [apart(run.execute, "pay", {"to": "ann", "amount": str(n)}) for n in range(12)]
        ids = {call.result(60).output["id"] for call in calls}
    assert len(ids) == 12
    assert sorted(int(entry.split()[1]) for entry in work.book()) == list(range(12))


def test_a_stop_between_the_offer_and_its_acceptance_counts(work: WorkHouse, run: aecl.Run, apart: Any) -> None:
    with work.worker("one", "say offered") as worker:
        underway = apart(run.execute, "pay", ARGUMENTS)
        assert line(worker) == "offered"
        scope = {"scope": {"run": run.id}, "reason": "no"}
        work.house.people("POST", "/v1/kill", scope)
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
        with pytest.raises(aecl.Failed) as said:
            underway.result(60)
        assert said.value.code in ("worker_stopped", "worker_unavailable")
    work.house.people("POST", "/v1/kill/lift", scope)
    assert work.book() == []


def test_who_is_connected_is_seen_in_the_terminal(work: WorkHouse, run: aecl.Run) -> None:
    assert "no worker that is connected takes it" in command(work.house.home, "workers")
    with work.worker("one"):
        shown = command(work.house.home, "workers")
        assert "one" in shown
        assert "ready" in shown
        assert "0 of 4" in shown
        # One is broken: nobody has a key for it.
        said = subprocess.run(
            [BIN, "--dir", str(work.house.home), "doctor"], capture_output=True, text=True, check=False
        )
        assert said.returncode == 1
        assert "no worker has a key for `nobody`" in said.stdout
        assert "no worker that is connected takes `nobody`" in said.stdout


def test_the_guide_runs_as_it_stands(own_work: WorkHouse, tmp_path: Path, apart: Any) -> None:
    page = (Path(__file__).parents[3] / "docs/guides/workers.md").read_text()
    entries, examples = (
        re.findall(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) for kind in ("yaml", "python")
    )
    house = own_work.house
    (house.home / "policy/actions/send_parcel.yaml").write_text(entries[0])
    manifest = house.home / "policy/agents" / f"{AGENT}.json"
    agent = json.loads(manifest.read_text())
    agent["allowed_actions"].append("send_parcel")
    manifest.write_text(json.dumps(agent))
    key = command(house.home, "keys", "add", "worker", "carrier", "--action", "send_parcel").strip()
    house.people("POST", "/v1/reload", {})
    quickstart, functions = examples
    assert len([one for one in quickstart.splitlines() if one.strip()]) <= 10
    (tmp_path / "worker.py").write_text(quickstart)
    environment = {**os.environ, "AECL_URL": house.url, "AECL_WORKER_TOKEN": key}
    subprocess.run([sys.executable, "-c", functions], check=True, env=environment, timeout=60)
    with (
        contextlib.ExitStack() as stack,
        aecl.Client(url=house.url, token=house.key) as client,
        client.open_run(agent=AGENT, goal="Send the parcel 7.") as run,
    ):
        worker = subprocess.Popen([sys.executable, str(tmp_path / "worker.py")], env=environment)
        stack.callback(worker.wait, 60)
        stack.callback(worker.terminate)
        until(own_work.connected)
        sent = apart(run.execute, "send_parcel", {"parcel": "7"}, wait=60)
        until(lambda: house.people("GET", "/v1/approvals")["approvals"])
        house.yes(house.people("GET", "/v1/approvals")["approvals"][0]["id"])
        assert sent.result(60).output == {"id": "sent-7"}
    assert worker.returncode == 0
