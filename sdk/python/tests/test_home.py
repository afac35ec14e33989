"""Without a server: the home of this directory is served, by one process for all."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import aecl
from aecl import _home
from house import BIN, House, line, worker

SCRIPT = """
import aecl
@aecl.guard
def read_invoice(invoice: str) -> str:
    return "950.00"
with aecl.open_run(agent="assistant", goal="Look at the invoices.") as run:
    print(read_invoice("2026-118"), flush=True)
    input()
"""


def init(*words: str) -> Path:
    subprocess.run([BIN, "init", *words], check=True, capture_output=True)
    return Path(subprocess.run([BIN, "home"], check=True, capture_output=True, text=True).stdout.strip())


def test_a_home_is_served_by_one_process_for_all(bare: Path) -> None:
    home = init("--example", "finance")
    with worker(SCRIPT) as one, worker(SCRIPT) as other:
        assert line(one) == line(other) == "950.00"
        served_by = (home / "data/lock").read_text()
        with worker(SCRIPT) as third:
            assert line(third) == "950.00"
        assert (home / "data/lock").read_text() == served_by
    # The server is no child of anybody's that ends with them: a question outlives who has asked it.
    os.kill(int(served_by), 0)


# httpcore drops the socket with which it finds nobody, and Python says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_server_that_was_killed_is_started_again(bare: Path) -> None:
    home = init("--example", "finance")
    with aecl.Client() as client:
        run = client.open_run(agent="assistant", goal="Look at the invoices.")

        @run.guard("read_invoice")
        def read(invoice: str) -> str:
            return "950.00"

        assert read("2026-118") == "950.00"
        before = int((home / "data/lock").read_text())
        pidfd = os.pidfd_open(before)
        os.kill(before, signal.SIGKILL)
        _ended(pidfd)
        assert read("2026-119") == "950.00"
        assert int((home / "data/lock").read_text()) != before
    gc.collect()


def _ended(pidfd: int) -> None:
    import select

    assert select.select([pidfd], [], [], 30)[0]
    os.close(pidfd)


def test_no_home_no_program_no_action(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(aecl.Unavailable) as homeless:
        aecl.Client()
    assert homeless.value.code == "home_missing"
    assert "aecl init" in str(homeless.value)
    monkeypatch.setenv("AECL_BIN", str(bare / "nothing"))
    with pytest.raises(aecl.Unavailable) as missing:
        aecl.Client()
    assert missing.value.code == "binary_missing"
    monkeypatch.delenv("AECL_BIN")
    monkeypatch.setenv("PATH", str(bare))
    with pytest.raises(aecl.Unavailable) as nowhere:
        aecl.Client()
    assert "PATH" in nowhere.value.message


def test_the_program_beside_this_python_goes_before_the_path(
    bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AECL_BIN")
    beside = tmp_path / "aecl"
    beside.write_text("#!/bin/sh\n")
    beside.chmod(0o755)

    def scripts(name: str, scheme: str) -> str:
        assert (name, bool(scheme)) == ("scripts", True)
        return str(tmp_path)

    monkeypatch.setattr("sysconfig.get_path", scripts)
    assert _home.program() == beside


def test_a_home_that_cannot_be_served_says_why(bare: Path) -> None:
    home = init("--example", "finance")
    (home / "aecl.yaml").write_text("nonsense: true\n")
    with pytest.raises(aecl.Unavailable) as broken:
        aecl.Client(directory=home)
    assert broken.value.code == "server_unreachable"
    assert "nonsense" in broken.value.message


def test_an_address_that_is_none(house: House) -> None:
    for wrong in ("127.0.0.1:7600", "ftp://127.0.0.1", "http://"):
        with pytest.raises(aecl.Invalid):
            aecl.Client(url=wrong)


def test_a_fork_has_connections_of_its_own(house: House) -> None:
    script = """
import aecl, os, sys
client = aecl.Client()
run = client.open_run(agent="clerk", goal="Look after the shop.")
@run.guard
def write_note(text: str) -> str:
    return text
def act() -> None:
    for number in range(20):
        assert write_note(f"{os.getpid()} {number}") == f"{os.getpid()} {number}"
act()
with run.action("write_note", {"text": "held by the parent"}) as permit:
    child = os.fork()
    if child == 0:
        act()
        # Its end says nothing about a permit of its parent.
        sys.stdout.flush()
        sys.exit(0)
    act()
    assert os.waitpid(child, 0)[1] == 0
    permit.done("said by the parent")
print("ended", flush=True)
"""
    with worker(script, AECL_URL=house.url, AECL_TOKEN=house.key) as process:
        assert line(process) == "ended"


def test_nothing_is_needed_but_httpx() -> None:
    script = """
import sys, aecl
aecl.guard
print(sorted({name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)))
"""
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    allowed = {"aecl", "httpx", "httpcore", "h11", "anyio", "sniffio", "certifi", "idna", "typing_extensions"}
    found = {name.strip(" '[]\n") for name in loaded.split(",")}
    assert {name for name in found if not name.startswith("_") and "editable" not in name} <= allowed | {
        "exceptiongroup"
    }


def test_the_verifier_needs_nothing_at_all() -> None:
    """An auditor has a checkout and Python; `-S` is Python without what was installed into it."""
    script = (
        "import aecl.verify, sys; assert 'httpx' not in sys.modules; print(aecl.__version__, 'guard' in dir(aecl))"
    )
    source = str(Path(_home.__file__).parents[1])
    said = subprocess.run(
        [sys.executable, "-S", "-c", script], check=True, capture_output=True, text=True, env={"PYTHONPATH": source}
    )
    assert said.stdout == "0.1.0 True\n"
    with pytest.raises(AttributeError):
        _ = getattr(aecl, "nothing")  # noqa: B009
