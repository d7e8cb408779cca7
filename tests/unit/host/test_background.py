"""Tasks beside the requests."""

import asyncio

import pytest

from libs.host import background as subject
from libs.host.background import Background


async def test_work_that_fails_hurts_nothing_else() -> None:
    done: list[str] = []

    async def fails() -> None:
        raise ValueError

    async def works() -> None:
        done.append("worked")

    async with Background() as background:
        background.spawn(fails())
        background.spawn(works())
        await asyncio.sleep(0.01)
    assert done == ["worked"]


async def test_what_should_never_end_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_RESTART_SECONDS", 0.0)
    starts: list[int] = []

    async def breaks_twice() -> None:
        starts.append(len(starts))
        if len(starts) < 3:
            raise ValueError
        await asyncio.Event().wait()

    async with Background() as background:
        assert not await background.runs()
        background.keep(breaks_twice)
        await asyncio.sleep(0.01)
        assert await background.runs()
    assert starts == [0, 1, 2]
    assert not await background.runs()


async def test_a_task_that_swallows_its_cancellation_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_CANCEL_SECONDS", 0.01)
    swallowed: list[str] = []

    async def swallows() -> None:
        while len(swallowed) < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append("a cancellation")

    background = Background()
    background.spawn(swallows())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await background.close()
    assert len(swallowed) == 3


async def test_repeated_work_is_repeated_even_when_it_fails() -> None:
    runs: list[int] = []

    async def fails() -> None:
        runs.append(1)
        raise ValueError

    async with Background() as background:
        background.every(lambda: 0.001, fails)
        await asyncio.sleep(0.05)
    assert len(runs) > 2


async def test_a_bell_spares_the_wait_and_what_it_did_not_ring_for_is_done_too() -> None:
    bell, done = asyncio.Event(), asyncio.Queue[int]()

    async def works() -> None:
        done.put_nowait(0)

    async with asyncio.timeout(30), Background() as background:
        background.every(lambda: 3600.0, works, bell)
        for _ in range(3):
            bell.set()
            await done.get()
        background.every(lambda: 0.0, works)
        await done.get()


async def test_a_bell_that_rings_during_the_work_is_heard_after_it() -> None:
    bell, twice, rounds = asyncio.Event(), asyncio.Event(), []

    async def works() -> None:
        rounds.append(0)
        (bell if len(rounds) < 2 else twice).set()

    async with asyncio.timeout(30), Background() as background:
        background.every(lambda: 3600.0, works, bell)
        bell.set()
        await twice.wait()
