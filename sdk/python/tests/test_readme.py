"""The pages as they stand: what they show is run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import aecl
from aecl import _wire
from aecl.errors import LOCAL_CODES
from house import BIN, House

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/guides/python.md").read_text()


def blocks(page: Path, kind: str) -> list[str]:
    """Code blocks of a page."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_quickstart_holds_a_call(bare: Path) -> None:
    page = ROOT / "sdk/python/README.md"
    subprocess.run([BIN, "init", "--example", "finance"], check=True, capture_output=True)
    quickstart = blocks(page, "python")[0]
    assert len([line for line in quickstart.splitlines() if line.strip()]) <= 10
    (bare / "quickstart.py").write_text(quickstart)
    said = subprocess.run([sys.executable, "quickstart.py"], check=True, capture_output=True, text=True).stdout
    # The page leaves out which file of the policy says so.
    said = re.sub(r" \(policy `[^`]*`\)", "", said)
    assert said.startswith(blocks(page, "text")[0]), said


def test_the_examples_of_the_guide_run(house: House, tmp_path: Path) -> None:
    for number, example in enumerate(blocks(ROOT / "docs/guides/python.md", "python")):
        script = tmp_path / f"example_{number}.py"
        script.write_text(example)
        environment = {**os.environ, "AECL_URL": house.url, "AECL_TOKEN": house.key}
        ended = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, env=environment, check=False
        )
        assert ended.returncode == 0, f"{example}\n{ended.stderr}"


def test_every_code_of_the_library_has_its_place_in_the_guide() -> None:
    described = set(re.findall(r"^### `(\w+)`$", GUIDE, re.MULTILINE))
    assert described == LOCAL_CODES


def test_every_field_of_an_answer_is_known_and_no_other() -> None:
    """What the server may answer and what the library understands are one list: a new field needs a thought."""
    schemas = json.loads((ROOT / "openapi/aecl.json").read_text())["components"]["schemas"]
    assert set(schemas["Action"]["properties"]) == _wire.ACTION
    assert set(schemas["Approval"]["properties"]) == _wire.APPROVAL
    assert set(schemas["ProblemDetails"]["properties"]) == _wire.PROBLEM
    described = schemas["Action"]["properties"]["state"]["description"]
    assert set(re.findall(r"`(\w+)`", described)) == set(_wire.STATES)


def test_every_error_is_in_the_guide() -> None:
    errors = {name for name in aecl.__all__ if isinstance(getattr(aecl, name), type)}
    errors = {name for name in errors if issubclass(getattr(aecl, name), aecl.Error)}
    table = set(re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE))
    assert errors - {"Error", "Refused"} <= table
