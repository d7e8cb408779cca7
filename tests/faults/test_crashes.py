"""No acknowledged message is lost, none is doubled, and seq has no gap, whatever is killed under load."""

import asyncio
import random
from typing import Final

import pytest

from tests.faults.harm import (
    BACKENDS,
    ENGINES,
    KEEPERS,
    SERVICES,
    Harm,
    child_killed,
    flushed,
    killed,
    stopped,
    wait_for_projection,
    wait_for_relay,
)
from tests.faults.history import defects_of
from tests.faults.load import Load, loaded
from tests.support.town import Town

pytestmark = pytest.mark.xdist_group("faults")

HARMS: Final[dict[str, Harm]] = {
    **{f"{name} killed": killed(name) for name in (*SERVICES, *ENGINES)},
    **{f"{title} of PostgreSQL killed": child_killed(title) for title in (*BACKENDS, *KEEPERS)},
    "checkpointer of the keys' PostgreSQL killed": child_killed("checkpointer", "keys-postgres"),
    "keys_publisher of the keys' PostgreSQL killed": child_killed("keys_publisher", "keys-postgres"),
    "valkey flushed": flushed,
    "valkey stopped": stopped("valkey"),
    "PostgreSQL's postmaster stopped": stopped("postgres"),
    "keys stopped": stopped("keys"),
    "messaging-relay stopped": stopped("messaging-relay"),
}
SELDOM: Final = {
    "io worker of PostgreSQL killed",
    "autovacuum launcher of PostgreSQL killed",
    "logical replication launcher of PostgreSQL killed",
    "background writer of PostgreSQL killed",
    "messaging_app of PostgreSQL killed",
    "messaging_publisher of PostgreSQL killed",
    "checkpointer of the keys' PostgreSQL killed",
    "PostgreSQL's postmaster stopped",
    "keys stopped",
    "messaging-relay stopped",
}
"""Much like another one: only `make prove` does these."""
LONG_TURNS: Final = 20


async def _nothing_is_wrong(load: Load) -> None:
    """Look at the whole history, and let the relay catch up."""
    platform = load.platform
    await asyncio.to_thread(platform.wait_until_ready)
    await load.send(0, "once more")
    assert defects_of(await load.settled()) == []
    await asyncio.to_thread(wait_for_relay, load)
    await asyncio.to_thread(wait_for_projection, load)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.prove] if name in SELDOM else []) for name in HARMS]
)
async def test_what_is_killed_or_stopped_loses_and_doubles_nothing(town: Town, name: str) -> None:
    async with loaded(town) as load:
        await load.during(lambda: HARMS[name](load.platform))
        await _nothing_is_wrong(load)


async def test_whoever_is_provisioned_after_a_flush_becomes_known(town: Town) -> None:
    async with loaded(town, people=2, senders=1) as load:
        await load.during(lambda: flushed(load.platform))
        newcomers = await town.settle(2)
        begun = await newcomers[0].create_conversation("direct", [town.principals[1]])
        assert begun.seq == 1
        await asyncio.to_thread(wait_for_projection, load)


@pytest.mark.prove
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_long_load_under_one_harm_after_the_other_loses_and_doubles_nothing(
    town: Town, seed: int
) -> None:
    chance = random.Random(seed)
    async with loaded(town, people=12, senders=6, rooms=5, seed=seed) as load:
        async with load.talking():
            for _ in range(LONG_TURNS):
                await load.acknowledges(100)
                await asyncio.to_thread(HARMS[chance.choice(list(HARMS))], load.platform)
            await load.acknowledges(100)
        await _nothing_is_wrong(load)


@pytest.mark.prove
@pytest.mark.parametrize("seed", [4, 5])
async def test_two_harms_at_once_lose_and_double_nothing(town: Town, seed: int) -> None:
    chance = random.Random(seed)
    async with loaded(town, people=8, senders=4, rooms=3, seed=seed) as load:
        async with load.talking():
            for _ in range(LONG_TURNS // 2):
                await load.acknowledges(50)
                first, second = chance.sample(sorted(HARMS), 2)
                await asyncio.gather(
                    *(asyncio.to_thread(_harmed_somehow, HARMS[name], load) for name in (first, second))
                )
                await asyncio.to_thread(load.platform.wait_until_ready)
            await load.acknowledges(50)
        await _nothing_is_wrong(load)


def _harmed_somehow(harm: Harm, load: Load) -> None:
    """Do a harm whose victim another harm may have ended a moment ago."""
    try:
        harm(load.platform)
    except (AssertionError, LookupError, ProcessLookupError, ConnectionError):
        return
