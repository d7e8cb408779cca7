"""Each proof is seen failing: a gateway with a planted defect is caught by the check that exists for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.canary import overheard, places_of
from tests.faults.gateways import DEFECTIVE, PLAIN, another_gateway
from tests.faults.harm import child_killed
from tests.faults.history import defects_of
from tests.faults.load import Load, loaded
from tests.support.town import Town

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.planted]


@asynccontextmanager
async def gateway_with(defect: str | None, town: Town, folder: Path) -> AsyncIterator[Load]:
    """Give a load on a gateway with a planted defect, or on a sound one."""
    program = PLAIN if defect is None else (*DEFECTIVE, defect)
    with another_gateway(town.platform, folder, program=program) as gateway:
        async with loaded(town, people=3, senders=2, gateways=[gateway]) as load:
            yield load


async def _is_killed_while_it_commits(load: Load) -> None:
    """Send while nobody can write the log, and kill the writer's backend before anybody can."""
    await load.send(0)
    # the lock's own connection dies of the same crash
    with (
        contextlib.suppress(psycopg.OperationalError),
        psycopg.connect(load.platform.facts["count_database"]) as connection,
    ):
        connection.execute("LOCK TABLE messaging.entry IN EXCLUSIVE MODE")
        sending = asyncio.create_task(load.send(0))
        await asyncio.wait({sending}, timeout=1.0)
        if sending.done():
            await load.look_for(sending.result())
        await asyncio.to_thread(child_killed("messaging_writer"), load.platform)
    await sending
    await load.send(1)


async def _numbers_messages(load: Load) -> None:
    for number in range(4):
        await load.send(number % 2)


async def _repeats_a_send(load: Load) -> None:
    await load.repeat(0, await load.send(0))


LONG = pytest.mark.prove
"""Each starts two gateways: one of them is seen in every run, and all of them by `make prove`."""
PROOFS: list[Any] = [
    pytest.param(
        "ack_before_commit", _is_killed_while_it_commits, {"lost", "before it was durable"}, marks=LONG
    ),
    pytest.param("seq_from_a_sequence", _numbers_messages, {"gap"}, marks=LONG),
    ("without_deduplication", _repeats_a_send, {"doubled", "two places"}),
]


@pytest.mark.parametrize(("defect", "act", "complaints"), PROOFS)
async def test_a_defective_log_is_noticed_and_a_sound_one_is_not(
    town: Town, tmp_path: Path, defect: str, act: Callable[[Load], Awaitable[None]], complaints: set[str]
) -> None:
    async with gateway_with(None, town, tmp_path) as load:
        await act(load)
        assert defects_of(await load.settled()) == []
    async with gateway_with(defect, town, tmp_path) as load:
        load.history.shown.clear()  # what recipients see of a broken log is not the question here
        await act(load)
        found = " | ".join(defects_of(await load.settled()))
        assert [complaint for complaint in complaints if complaint not in found] == [], found


@LONG
async def test_an_unsealed_body_is_noticed(town: Town, tmp_path: Path) -> None:
    canary = "canary-5d0c91-in-clear"
    with overheard(town.platform) as heard:
        async with gateway_with("unsealed", town, tmp_path) as load:
            await load.send(0, canary)
            found = await asyncio.to_thread(places_of, canary, town.platform)
    assert any(place.startswith("postgres/cluster/base/") for place in found)
    assert any(place.startswith("postgres/cluster/pg_wal/") for place in found)
    assert any(place.startswith("messaging: messaging.payload") for place in found)
    assert any(canary.encode() in said for said in heard)
