"""Typed functions from the catalogue, as the type checkers and the server take them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import aecl
from house import AGENT, GOAL, House
from house import aecl as command

STRANGE = [
    {
        "name": "books.list",
        "description": 'Says """ and \\\\N{nothing} and\nmore.',
        "effect": "read",
        "connector": {"kind": "worker"},
        "arguments": {
            "type": "object",
            "required": ["from", "lines"],
            "properties": {
                "from": {"type": "string"},
                "lines": {
                    "type": "array",
                    "items": {"type": "object", "required": ["a"], "properties": {"a": {"enum": ["x", None, 2]}}},
                },
                "note-2": {"type": ["string", "null"]},
                "any": {},
            },
        },
    },
    {"name": "list", "effect": "read", "connector": {"kind": "worker"}, "arguments": {"type": "object"}},
]

USE = """
import actions
import aecl


def use(run: aecl.Run) -> None:
    given: actions.BooksList = {"from": "x", "lines": [{"a": None}, {"a": 2}], "note-2": None}
    done: aecl.Done = actions.books_list(run, given, call_id="1")
    actions.list2(run, {})
    print(done.output)
"""

MISUSE = """
import actions

wrong: actions.BooksList = {"from": 1, "lines": [{"a": "y"}]}
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    house = House.made(tmp_path / "home")
    (house.home / "policy/actions/strange.json").write_text(json.dumps(STRANGE))
    (tmp_path / "actions.py").write_text(command(house.home, "gen", "python"))
    return tmp_path


def test_type_checkers_take_them_in_strict_mode(made: Path) -> None:
    (made / "use.py").write_text(USE)
    (made / "misuse.py").write_text(MISUSE)
    root = Path(__file__).parents[1]
    (made / "pyrightconfig.json").write_text(
        json.dumps({"strict": ["."], "pythonVersion": "3.10", "extraPaths": [str(root / "src")], "include": ["*.py"]})
    )
    for checker in (
        ["pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(made)],
        [
            "mypy",
            "--strict",
            "--no-error-summary",
            "--cache-dir",
            str(made / "cache"),
            "actions.py",
            "use.py",
            "misuse.py",
        ],
    ):
        said = subprocess.run(
            [sys.executable, "-m", *checker], cwd=made, capture_output=True, text=True, check=False
        ).stdout
        if checker[0] == "pyright":
            found = {(Path(of["file"]).name, of["message"]) for of in json.loads(said)["generalDiagnostics"]}
            files = {name for name, _ in found}
        else:
            files = {line.partition(":")[0] for line in said.splitlines() if ": error:" in line}
        assert files == {"misuse.py"}, said


def test_a_function_has_its_action_carried_out(tmp_path: Path) -> None:
    house = House.made(tmp_path / "home")
    file = tmp_path / "actions.py"
    file.write_text(command(house.home, "gen", "python"))
    spec = importlib.util.spec_from_file_location("actions", file)
    assert spec is not None
    assert spec.loader is not None
    actions: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(actions)
    house.start()
    try:
        with aecl.Client(url=house.url, token=house.key) as client, client.open_run(agent=AGENT, goal=GOAL) as run:
            done = actions.count_stock(run, {"thing": "tea"}, call_id="1")
            assert done.action == actions.count_stock(run, {"thing": "tea"}, call_id="1").action
    finally:
        house.stop()
