"""The house of the library's tests, for the frameworks."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

import aecl

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]

from house import AGENT, GOAL, House, Relay  # noqa: E402


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    made = House.made(tmp_path_factory.mktemp("house") / "home").start()
    yield made
    made.stop()


@pytest.fixture
def run(house: House) -> Generator[aecl.Run]:
    with aecl.Client(url=house.url, token=house.key) as client:
        yield client.open_run(agent=AGENT, goal=GOAL)


@pytest.fixture
def relay(house: House) -> Generator[Relay]:
    made = Relay(house)
    yield made
    made.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each scenario in each mode of its framework."""
    if "mode" in metafunc.fixturenames:
        kind: Any = metafunc.cls
        names = [f"{'threads' if one[0] else 'tasks'}-{'async' if one[1] else 'sync'}" for one in kind.modes]
        metafunc.parametrize("mode", kind.modes, ids=names)
