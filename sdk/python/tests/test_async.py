"""The same for coroutines, and many of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import aecl
from house import AGENT, GOAL, House


def test_coroutines_have_the_same_names(house: House) -> None:
    async def main() -> None:
        async with aecl.AsyncClient(url=house.url, token=house.key) as client:
            async with client.open_run(agent=AGENT, goal=GOAL) as run:

                @run.guard
                async def write_note(text: str) -> str:
                    await asyncio.sleep(0)
                    return text

                @aecl.aguard("write_note")
                async def other(text: str) -> str:
                    return text + "!"

                assert await write_note("a") == "a"
                assert await other.once("b")("b") == await other.once("b")("b") == "b!"
                assert "tea" in str((await run.execute("count_stock", {"thing": "tea"})).output)
                async with run.action("write_note", {"text": "c"}) as permit:
                    permit.done(permit.arguments)
                assert (await asyncio.to_thread(house.action, permit.action))["output"] == {"text": "c"}
                with pytest.raises(aecl.Blocked):
                    await run.execute("erase", {"book": "x"})
                with pytest.raises(aecl.Pending) as held:
                    await run.guard("transfer_funds")(pay)("vendor-2", "7.00", "EUR")
                await asyncio.to_thread(house.yes, held.value.approval)
                resumed = await client.resume(run.id, run.token)
                assert await resumed.guard("transfer_funds")(pay)("vendor-2", "7.00", "EUR") == "paid"
                # As far as this run knows, it still waits; so the end of its block leaves it open.
                assert run.waits()
            await run.close()
            with pytest.raises(aecl.Closed):
                await write_note("d")

    asyncio.run(main())


def test_a_run_for_threads_goes_on_in_coroutines(house: House, client: aecl.Client, run: aecl.Run) -> None:
    async def act(arguments: dict[str, str]) -> str:
        return arguments["text"]

    async def main() -> None:
        async with run.as_async() as same:
            assert (same.id, same.token) == (run.id, run.token)
            done = await same.perform("write_note", {"text": "a"}, act, call_id="one")
            assert (done.output, done.replayed) == ("a", False)
            with pytest.raises(aecl.Pending):
                await same.execute("transfer_funds", {"to": "v", "amount": "1.00", "currency": "EUR"})

    asyncio.run(main())
    # Each loop has connections of its own; what was done and what waits belongs to the run.
    asyncio.run(main_replayed(run, act))
    assert run.waits()


async def main_replayed(run: aecl.Run, act: Callable[[dict[str, str]], Awaitable[str]]) -> None:
    async with run.as_async() as same:
        assert (await same.perform("write_note", {"text": "a"}, act, call_id="one")).replayed


async def pay(to: str, amount: str, currency: str) -> str:
    return "paid"


def test_a_task_that_is_cancelled_is_reported(house: House) -> None:
    async def main() -> None:
        async with (
            aecl.AsyncClient(url=house.url, token=house.key) as client,
            client.open_run(agent=AGENT, goal=GOAL) as run,
        ):
            acting = asyncio.Event()

            @run.guard
            async def write_note(text: str) -> None:
                acting.set()
                await asyncio.Event().wait()

            task = asyncio.create_task(write_note("a"))
            await acting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            found = await asyncio.to_thread(house.last, run.id)
            assert (found["state"], found["code"]) == ("unknown", "CancelledError")

    asyncio.run(main())


def test_a_plain_function_runs_beside_the_loop(house: House) -> None:
    async def main() -> None:
        async with (
            aecl.AsyncClient(url=house.url, token=house.key) as client,
            client.open_run(agent=AGENT, goal=GOAL) as run,
        ):
            from aecl._async import decorate
            from aecl._shared import Settings

            def write_note(text: str) -> str:
                with pytest.raises(RuntimeError):
                    asyncio.get_running_loop()
                return text

            assert await decorate(run, write_note, Settings())("a") == "a"

    asyncio.run(main())


def test_two_hundred_at_once_keep_an_exact_budget(tmp_path: Path) -> None:
    """1.00 EUR each, 150.00 EUR a day: 150 are done and 50 are refused, whoever comes first."""
    house = House.made(tmp_path / "home", budget="150.00").start()
    spent: list[str] = []

    async def main() -> list[str]:
        async with (
            aecl.AsyncClient(url=house.url, token=house.key) as client,
            client.open_run(agent=AGENT, goal=GOAL) as run,
        ):

            @run.guard
            async def spend(amount: str, currency: str) -> dict[str, str]:
                spent.append(amount)
                await asyncio.sleep(0)
                return {"spent": amount}

            async def one(index: int) -> str:
                try:
                    # Each twice, as frameworks do it.
                    first = await spend.once(f"call-{index}")("1.00", "EUR")
                    assert await spend.once(f"call-{index}")("1.00", "EUR") == first
                except aecl.Blocked as error:
                    return error.code
                return "done"

            return await asyncio.gather(*(one(index) for index in range(200)))

    try:
        came = asyncio.run(main())
    finally:
        house.stop()
    assert sorted(set(came)) == ["budget_exceeded", "done"]
    assert (came.count("done"), len(spent)) == (150, 150)


def test_a_client_serves_one_block_by_itself(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AECL_URL", house.url)
    monkeypatch.setenv("AECL_TOKEN", house.key)

    async def main() -> None:
        async with aecl.aopen_run(agent=AGENT, goal=GOAL) as run:
            assert await run.guard("write_note")(note)("a") == "a"
            async with aecl.aresume(run.id, run.token) as again:
                assert await again.guard("write_note")(note)("b") == "b"
        run = await aecl.aopen_run(agent=AGENT, goal=GOAL)
        async with run:
            pass

    asyncio.run(main())


async def note(text: str) -> str:
    return text
