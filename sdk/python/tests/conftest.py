"""Houses, clients and runs of the tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

import aecl
from house import AGENT, GOAL, House, Relay, line, worker

SCRIPT = """
import aecl, sys
run = aecl.resume()
@run.guard
def write_note(text: str) -> None:
    print("acting", flush=True)
    sys.stdin.read()
write_note.once("one")("a")
"""


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    """A home and its server, for all tests that do not break it."""
    made = House.made(tmp_path_factory.mktemp("house") / "home").start()
    yield made
    made.stop()


@pytest.fixture
def own_house(tmp_path: Path) -> Generator[House]:
    """A home of one test's own, whose server may be killed."""
    made = House.made(tmp_path / "home").start()
    yield made
    made.stop()


@pytest.fixture
def client(house: House) -> Generator[aecl.Client]:
    with aecl.Client(url=house.url, token=house.key) as made:
        yield made


@pytest.fixture
def run(client: aecl.Client) -> Generator[aecl.Run]:
    with client.open_run(agent=AGENT, goal=GOAL) as made:
        yield made


@pytest.fixture
def relay(house: House) -> Generator[Relay]:
    made = Relay(house)
    yield made
    made.close()


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A user with an empty home directory, in a project of theirs; what was started there is ended."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for name in ("AECL_URL", "AECL_TOKEN", "AECL_RUN", "AECL_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(project)
    yield project
    for lock in (tmp_path / "user").glob(".local/share/aecl/*/data/lock"):
        if pid := lock.read_text().strip():
            os.kill(int(pid), signal.SIGTERM)


@pytest.fixture(scope="session", autouse=True)
def killed(house: House) -> Generator[aecl.Run]:
    """Killed before all other tests, since the lease is 90 s."""
    with aecl.Client(url=house.url, token=house.key) as client:
        run = client.open_run(agent=AGENT, goal=GOAL)
        with worker(SCRIPT, AECL_URL=house.url, AECL_TOKEN=run.token) as process:
            assert line(process) == "acting"
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        yield run
