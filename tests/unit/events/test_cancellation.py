"""An endless loop stops even when a library swallows its cancellation."""

import asyncio
from contextlib import suppress

from libs.events.cancellation import stop_if_cancelled


async def swallow() -> None:
    """Behave as a driver whose answer comes in the moment of the cancellation."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)


async def turns_after_a_cancellation(*, obedient: bool) -> int:
    """Return how many turns a loop takes after it was cancelled once, at most three."""
    turns = 0

    async def loop() -> None:
        nonlocal turns
        for _ in range(3):
            if obedient:
                stop_if_cancelled()
            turns += 1
            await (swallow() if turns == 1 else asyncio.sleep(0))

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    return turns


async def test_a_swallowed_cancellation_ends_the_loop_at_its_next_turn() -> None:
    assert await turns_after_a_cancellation(obedient=True) == 1


async def test_without_the_check_the_loop_would_go_on() -> None:
    assert await turns_after_a_cancellation(obedient=False) == 3


async def test_a_time_limit_that_passed_is_no_cancellation() -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(60)
    stop_if_cancelled()
