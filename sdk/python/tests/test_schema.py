"""Entries from signatures, as the real program takes them."""

from __future__ import annotations

import datetime
import decimal
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import aecl
import tools
from house import AGENT, BIN, GOAL, House
from house import aecl as command


def printed(*words: str) -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parent
    return subprocess.run(
        [sys.executable, "-m", "aecl.schema", *words], cwd=here, capture_output=True, text=True, check=False
    )


def test_an_entry_loads_once_a_person_has_said_what_it_does(tmp_path: Path) -> None:
    house = House.made(tmp_path / "home")
    said = printed("tools:order", "tools:close_books")
    assert said.returncode == 0, said.stderr
    file = house.home / "policy/actions/tools.yaml"
    file.write_text(said.stdout)
    broken = subprocess.run(
        [BIN, "--dir", str(house.home), "policy", "check"], capture_output=True, text=True, check=False
    )
    assert broken.returncode != 0
    assert "effect" in broken.stdout + broken.stderr
    file.write_text(said.stdout.replace("  # effect:\n", "  effect: write\n"))
    manifest = house.home / f"policy/agents/{AGENT}.json"
    of = json.loads(manifest.read_text())
    of["allowed_actions"] += ["order", "books.close"]
    manifest.write_text(json.dumps(of))
    command(house.home, "policy", "check")
    house.start()
    try:
        with aecl.Client(url=house.url, token=house.key) as client, client.open_run(agent=AGENT, goal=GOAL) as run:
            order = run.guard(tools.order)
            given: dict[str, Any] = {
                "lines": [tools.Line("tea", 2), tools.Line("milk")],
                "to": {"street": "Main 1", "town": "Bath"},
                "on": datetime.date(2026, 12, 1),
                "limit": decimal.Decimal("99.50"),
            }
            # It fits its own schema; what was left out is read strictly, so a person is asked.
            with pytest.raises(aecl.Pending) as held:
                order(**given)
            house.yes(held.value.approval)
            assert order(**given) == {"to": "Bath", "first": "tea", "on": "2026-12-01", "limit": "100.50"}
            with pytest.raises(aecl.Blocked) as refused:
                run.execute("books.close", {"year": 2025, "all": True})
            assert refused.value.code == "arguments_invalid"
    finally:
        house.stop()


def test_what_is_written() -> None:
    entry = json.loads(printed("tools:order", "--json").stdout)[0]
    assert "effect" not in entry
    assert entry["description"] == "Order things from the wholesaler."
    properties = entry["arguments"]["properties"]
    assert properties["limit"] == {"type": "string", "description": "The most that it may cost, in EUR."}
    assert properties["speed"] == {"enum": ["slow", "fast"]}
    assert properties["note"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert properties["lines"]["items"]["required"] == ["thing"]
    assert entry["arguments"]["required"] == ["lines", "to", "on", "limit"]
    guarded = json.loads(printed("tools:close_books", "--json").stdout)[0]
    assert (guarded["name"], list(guarded["arguments"]["properties"])) == ("books.close", ["year"])
    assert guarded["arguments"]["properties"]["year"]["description"] == "Which year."


def test_what_is_unclear_is_said_and_nothing_is_written() -> None:
    for of, why in (
        ("tools:vague", "does not say of which type `thing` is"),
        ("tools:rest_only", "list its arguments"),
        ("tools:opaque", "`bytes` has no JSON form"),
        ("tools:absent", "is not there"),
        ("absent:order", "is not there"),
        ("json", "nothing in `json` is guarded"),
        ("json:decoder", "nothing in `json:decoder` is guarded"),
        ("tools:WORDS", "is no function, no list of functions and no worker"),
        ("tools:AGE", "is not there"),
    ):
        said = printed(of)
        assert (said.returncode, said.stdout) == (2, "")
        assert why in said.stderr


def test_what_a_module_guards_and_a_worker_in_it_serves_is_found() -> None:
    """What is printed while the module is imported is no part of it."""
    found = {made["name"]: made for made in json.loads(printed("tools", "--json").stdout)}
    assert sorted(found) == ["books.close", "ship"]
    assert "connector" not in found["books.close"]
    assert (found["ship"]["connector"], found["ship"]["idempotency"]) == ({"kind": "worker"}, "verifiable")
    assert [made["name"] for made in json.loads(printed("tools:SEVERAL", "--json").stdout)] == [
        "order",
        "books.close",
    ]
    said = printed("tools:worker")
    assert '  connector: {"kind": "worker"}\n  idempotency: "verifiable"\n' in said.stdout


def test_the_program_takes_them_into_the_catalogue(tmp_path: Path) -> None:
    house = House.made(tmp_path / "home")

    def imported(*words: str) -> Any:
        of = ["--json", "catalog", "import", "--interpreter", sys.executable, "--python", *words]
        here = Path(__file__).parent
        ended = subprocess.run(
            [BIN, "--dir", str(house.home), *of], cwd=here, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    said = imported("tools", "tools:order")
    assert said["added"] == ["books.close", "ship", "order"]
    assert imported("tools:order")["added"] == []
    command(house.home, "policy", "check")
    listed = json.loads(command(house.home, "--json", "catalog", "list"))
    known = {row["name"]: row for row in listed}
    assert (known["order"]["effect"], known["ship"]["connector"]) == ("write", "worker")
