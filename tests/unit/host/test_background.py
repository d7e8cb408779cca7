"""Tasks beside the requests fail alone and end together."""

import asyncio
import io

import msgspec
import pytest

from libs.host.background import Background
from libs.telemetry.logs import configure_logging
from tests.unit.host.apps import CANARY, TooMany


@pytest.fixture
def log() -> io.StringIO:
    written = io.StringIO()
    configure_logging("trial", stream=written)
    return written


async def test_work_runs_beside_the_rest_and_is_waited_for_at_the_end():
    background, steps = Background(), []

    async def work() -> None:
        try:
            steps.append("begun")
            await asyncio.Event().wait()
        finally:
            steps.append("ended")

    background.spawn(work())
    await asyncio.sleep(0)
    assert steps == ["begun"]
    await background.close()
    assert steps == ["begun", "ended"]


async def test_a_failure_is_told_without_its_text_and_hurts_nobody_else(log: io.StringIO):
    background, done = Background(), asyncio.Event()

    async def fail(error: Exception) -> None:
        raise error

    async def work() -> None:
        done.set()

    background.spawn(fail(ValueError(CANARY)))
    background.spawn(fail(TooMany(3)))
    background.spawn(work())
    await asyncio.wait_for(done.wait(), 5)
    await background.close()
    lines = [msgspec.json.decode(line) for line in log.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["background work failed", "background work put off"]
    assert lines[1]["reason"] == "TooMany"
    assert CANARY not in log.getvalue()


async def test_repeated_work_goes_on_after_a_failure(log: io.StringIO):
    background, times, enough = Background(), [], asyncio.Event()

    async def work() -> None:
        times.append(1)
        if len(times) == 3:
            enough.set()
        raise ValueError(CANARY)

    background.every(lambda: 0.0, work)
    await asyncio.wait_for(enough.wait(), 5)
    await background.close()
    count = len(times)
    await asyncio.sleep(0)
    assert len(times) == count
    assert CANARY not in log.getvalue()
