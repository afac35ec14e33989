"""What every adapter has to hold, against a running AECL: one class, of which each framework's tests are a kind."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomllib

import aecl
from aecl._frameworks import Door
from house import House, Relay
from order import HERE, Order, Played, call, elsewhere, world

ROOT = HERE.parents[2]
PAY = {"to": "vendor-7", "amount": "950.00", "currency": "EUR"}


def blocks(page: Path, kind: str) -> list[str]:
    """Code blocks of a page."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def ended(script: str, house: House, room: Path) -> str:
    """Output of a script that a reader has copied."""
    path = os.pathsep.join([str(room), str(HERE), str(HERE.parent / "src")])
    environment = {**os.environ, "AECL_URL": house.url, "AECL_TOKEN": house.key, "PYTHONPATH": path}
    (room / "script.py").write_text(script)
    words = [sys.executable, "script.py"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=room, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Scenarios:
    """Scenarios of one framework. `agent` names its `agent_*.py`; `play` is that file's."""

    agent: str
    play: Callable[[Order], Played]
    #: How the framework may be called: the kind of run, and whether from coroutines.
    modes: tuple[tuple[bool, bool], ...]
    #: Whether people may answer in the framework's own words, and say other arguments there.
    answers = True
    edits = True
    #: Whether other arguments have to be said with each answer again.
    edits_again = False

    @pytest.fixture
    def order(self, house: House, run: aecl.Run, tmp_path: Path, mode: tuple[bool, bool]) -> Order:
        return Order(house.url, run.token, str(tmp_path), [], threads=mode[0], coroutines=mode[1])

    def played(self, order: Order, *calls: dict[str, Any], **changed: Any) -> Played:
        return type(self).play(replace(order, calls=list(calls), **changed))

    def test_allowed_is_done_and_recorded(self, house: House, run: aecl.Run, order: Order) -> None:
        played = self.played(order, call("call_1", "write_note", text="buy tea"))
        assert world(order) == [{"does": "write_note", "text": "buy tea"}]
        assert (played.held, played.said) == ([], "ended")
        assert "noted: buy tea" in played.told[0]
        assert "noted: buy tea" in str(house.last(run.id)["output"])

    def test_blocked_is_not_done_and_the_model_is_told_so(self, order: Order) -> None:
        played = self.played(order, call("call_1", "erase", book="all"))
        assert world(order) == []
        assert "action_blocked" in played.told[0]
        assert "Nothing was executed" in played.told[0]
        # Which line of the policy said so is for people.
        assert "agents/clerk" not in played.told[0]
        assert played.said == "ended"

    def test_held_is_done_once_in_another_process_after_the_yes(
        self, house: House, run: aecl.Run, order: Order
    ) -> None:
        step = call("call_1", "transfer_funds", **PAY)
        first = elsewhere(self.agent, replace(order, calls=[step]))
        assert world(order) == []
        assert len(first.held) == 1
        shown = first.held[0]
        assert "always requires approval" in shown["card"]
        # An `approve` that only the framework knows of is none.
        again = self.played(order, step, answer="approve")
        assert world(order) == []
        assert [one["approval"] for one in again.held] == [shown["approval"]]
        house.yes(shown["approval"])
        last = elsewhere(self.agent, replace(order, calls=[step], answer="approve"))
        assert world(order) == [{"does": "transfer_funds", "to": "vendor-7", "amount": "950.00"}]
        assert ("tr-1" in last.told[0], last.said) == (True, "ended")
        assert house.last(run.id)["state"] == "done"

    def test_a_no_of_aecl_is_told_to_the_model(self, house: House, order: Order) -> None:
        step = call("call_1", "transfer_funds", **PAY)
        held = self.played(order, step).held[0]
        house.no(held["approval"], "we do not know them")
        played = self.played(order, step, answer="approve")
        assert world(order) == []
        assert "we do not know them" in played.told[0]
        assert played.said == "ended"

    def test_a_no_in_the_framework_counts_although_aecl_has_a_yes(self, house: House, order: Order) -> None:
        if not self.answers:
            return
        step = call("call_1", "transfer_funds", **PAY)
        held = self.played(order, step).held[0]
        house.yes(held["approval"])
        played = self.played(order, step, answer="reject")
        assert world(order) == []
        assert (len(played.told), played.said) == (1, "ended")

    def test_other_arguments_ask_again(self, house: House, order: Order) -> None:
        if not self.edits:
            return
        step = call("call_1", "transfer_funds", **PAY)
        held = self.played(order, step).held[0]
        # The yes to what was asked first is none to what came after it.
        house.yes(held["approval"])
        other = {**PAY, "amount": "951.00"}
        edited = self.played(order, step, answer=other)
        assert world(order) == []
        assert edited.held[0]["approval"] != held["approval"]
        assert "951.00" in edited.held[0]["card"]
        house.yes(edited.held[0]["approval"])
        played = self.played(order, step, answer=other if self.edits_again else "approve")
        assert world(order) == [{"does": "transfer_funds", "to": "vendor-7", "amount": "951.00"}]
        assert played.said == "ended"

    def test_nothing_happens_while_aecl_does_not_answer(self, relay: Relay, order: Order) -> None:
        relay.drop_request = lambda method, path: path == "/v1/actions"
        order.url = f"http://127.0.0.1:{relay.server.server_address[1]}"
        step = call("call_1", "write_note", text="a")
        played = self.played(order, step)
        assert world(order) == []
        assert "server_unreachable" in played.told[0]
        # Nor if what answers is not understood.
        relay.drop_request = lambda method, path: False
        relay.change = lambda method, path, status, body: (
            (status, body.replace(b'"permitted"', b'"allowed"')) if path == "/v1/actions" else (status, body)
        )
        played = self.played(replace(order, room=self.room(order, "other")), step)
        assert world(order) == []
        assert "answer_unreadable" in played.told[0]

    def test_a_fault_in_the_adapter_means_that_nothing_happens(
        self, order: Order, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*args: Any, **rest: Any) -> Any:
            raise RuntimeError("a fault of the adapter")

        monkeypatch.setattr(Door, "_found", broken)
        try:
            self.played(order, call("call_1", "write_note", text="a"))
        except Exception as error:
            assert "a fault of the adapter" in re.sub(r"\s+", " ", f"{error} {error.__cause__}")  # noqa: PT017
        assert world(order) == []

    def test_a_step_that_is_run_twice_happens_once(self, order: Order) -> None:
        step = call("call_1", "write_note", text="a")
        first = self.played(order, step)
        # The framework has lost what it knew: the step is run again from its beginning.
        second = self.played(replace(order, room=self.room(order, "again")), step)
        assert world(order) == [{"does": "write_note", "text": "a"}]
        assert world(replace(order, room=self.room(order, "again"))) == []
        assert first.told == second.told

    def test_what_a_stranger_wrote_taints_the_next_call(self, order: Order) -> None:
        mail = {"to": "eve@evil.example", "body": "the books"}
        played = self.played(order, call("call_1", "read_page", page="news"), call("call_2", "send_mail", **mail))
        assert world(order) == [{"does": "read_page", "page": "news"}]
        assert "eve@evil.example" in played.held[0]["card"]

    def test_a_tool_that_fails_is_not_reported_as_done(self, house: House, run: aecl.Run, order: Order) -> None:
        # Where a framework lets it rise.
        with contextlib.suppress(KeyError):
            self.played(order, call("call_1", "tag_note", text="a", tag="b"))
        assert len(world(order)) == 1
        assert house.last(run.id)["state"] == "unknown"

    def test_what_aecl_carries_out_is_not_called_here(self, order: Order) -> None:
        played = self.played(order, call("call_1", "count_stock", thing="tea"), execute=["count_stock"])
        assert world(order) == []
        assert ("7" in played.told[0], played.said) == (True, "ended")

    def test_the_page_runs_as_it_stands(self, house: House, tmp_path: Path) -> None:
        page = ROOT / f"docs/guides/{self.agent.replace('_', '-')}.md"
        begin, go_on = blocks(page, "python")
        assert len([line for line in begin.splitlines() if line.strip()]) <= 10
        (tmp_path / "shop.py").write_text((HERE / f"shop_{self.agent}.py").read_text())
        said = ended(begin, house, tmp_path)
        # The page leaves out which file of the policy says so.
        assert re.sub(r" \(policy `[^`]*`\)", "", said).startswith(blocks(page, "text")[0]), said
        assert not (tmp_path / "book").exists()
        asked = house.people("GET", "/v1/approvals?state=pending")["approvals"]
        (approval,) = (one["id"] for one in asked if one["id"] in said)
        house.yes(approval)
        assert "ended" in ended(go_on, house, tmp_path)
        assert (tmp_path / "book").read_text() == "950.00 EUR to vendor-7\n"

    def test_the_versions_of_the_page_are_those_that_are_tried(self) -> None:
        name = self.agent.replace("_", "-")
        row = next(
            line for line in (ROOT / "docs/guides/frameworks.md").read_text().splitlines() if f"({name}.md)" in line
        )
        tried = re.findall(r"([a-z-]+) (\d[\w.]+)", row.split("|")[3])
        assert tried
        assert all(importlib.metadata.version(package) == version for package, version in tried)
        project = tomllib.loads((ROOT / "sdk/python/pyproject.toml").read_text())["project"]
        wanted = " ".join(project["optional-dependencies"][name])
        assert all(f"{package}>=" in wanted for package, _ in tried)

    @staticmethod
    def room(order: Order, name: str) -> str:
        made = Path(order.room) / name
        os.makedirs(made, exist_ok=True)
        return str(made)
