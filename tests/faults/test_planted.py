"""Each proof is seen failing: a gateway with a planted defect is caught by the check that exists for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from tests.faults.canary import places_of
from tests.faults.gateways import DEFECTIVE, PLAIN, another_gateway
from tests.faults.history import defects_of
from tests.faults.load import Load, loaded
from tests.support.town import Town

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.planted]


@asynccontextmanager
async def gateway_with(defect: str | None, town: Town, folder: Path) -> AsyncIterator[Load]:
    """Give a load on a gateway with a planted defect, or on a sound one."""
    program = PLAIN if defect is None else (*DEFECTIVE, defect)
    with another_gateway(town.platform, folder, program=program) as gateway:
        async with loaded(town, people=3, senders=2, gateways=[gateway]) as load:
            yield load


async def _acked_while_the_log_is_locked(load: Load) -> bool:
    """Say whether a send is acknowledged while nobody can write the log."""
    await load.send(0, "warm")
    with psycopg.connect(load.platform.facts["count_database"]) as connection:
        connection.execute("LOCK TABLE messaging.entry IN EXCLUSIVE MODE")
        sending = asyncio.create_task(load.send(0, "is it durable?"))
        await asyncio.wait({sending}, timeout=1.0)
        early = sending.done()
        connection.rollback()
    await sending
    return early


@pytest.mark.parametrize(("defect", "early"), [(None, False), ("ack_before_commit", True)])
async def test_an_ack_before_the_commit_is_noticed(
    town: Town, tmp_path: Path, defect: str | None, *, early: bool
) -> None:
    async with gateway_with(defect, town, tmp_path) as load:
        assert await _acked_while_the_log_is_locked(load) is early


async def _numbers_by_a_sequence(load: Load) -> None:
    for number in range(4):
        await load.send(number % 2)


async def _repeats_a_send(load: Load) -> None:
    client_id = load.town.ids.uuid7()
    first = await load.send(0, "once", client_id)
    # the same send again, as after an ack that was lost on its way
    again = await load.clients[0].post(load.conversation, "once", message=client_id)
    load.history.acks.append((client_id, again.seq))
    assert first


@pytest.mark.parametrize(
    ("defect", "act", "complaint"),
    [
        ("seq_from_a_sequence", _numbers_by_a_sequence, "gap"),
        ("without_deduplication", _repeats_a_send, "doubled"),
    ],
)
async def test_a_defective_log_is_noticed(
    town: Town, tmp_path: Path, defect: str, act: Callable[[Load], Awaitable[None]], complaint: str
) -> None:
    async with gateway_with(None, town, tmp_path) as load:
        await act(load)
        assert defects_of(await load.settled()) == []
    async with gateway_with(defect, town, tmp_path) as load:
        load.history.shown.clear()  # what recipients see of a broken log is not the question here
        await act(load)
        assert any(complaint in found for found in defects_of(await load.settled()))


async def test_an_unsealed_body_is_noticed(town: Town, tmp_path: Path) -> None:
    canary = "canary-5d0c91-in-clear"
    async with gateway_with("unsealed", town, tmp_path) as load:
        await load.send(0, canary)
        found = await asyncio.to_thread(places_of, canary, town.platform)
    assert any(place.startswith("postgres/") for place in found)
