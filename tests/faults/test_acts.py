"""Every act has exactly one entry in its tenant's log, whatever is killed while the acts are done."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import pytest

from tests.faults.accounts import Acts, Entries, counted_acts, differences, what_is_wrong
from tests.faults.busy import busy
from tests.faults.gateways import DEFECTIVE, another_audit
from tests.faults.harm import Harm, flushed, killed
from tests.faults.load import Load, loaded
from tests.support.platform import Platform
from tests.support.town import Town

pytestmark = pytest.mark.xdist_group("faults")

KILLED: Final = ("audit", "messaging-relay", "identity", "keys", "holds", "valkey")
HARMS: Final[dict[str, Harm]] = {
    **{f"{name} killed": killed(name) for name in KILLED},
    "valkey flushed": flushed,
}
"""Whoever takes facts in, whoever publishes them, and what lies between."""
SHORT: Final = 1_000
SHORT_TURNS: Final = len(HARMS)
ACTS: Final = 10_000
TURNS: Final = 25


async def _counted(load: Load) -> int:
    return (await asyncio.to_thread(counted_acts, load.platform)).total


async def _come_to(load: Load, wanted: int) -> None:
    while await _counted(load) < wanted:  # noqa: ASYNC110 - what is counted is in other processes
        await asyncio.sleep(0.2)


async def _harmed_while_acting(load: Load, harms: Sequence[str], acts: int) -> None:
    """Do one harm after the other, each in its share of so many acts, and compare the acts with the log."""
    before = await _counted(load)
    async with busy(load):
        for turn, name in enumerate(harms, 1):
            await asyncio.to_thread(HARMS[name], load.platform)
            await _come_to(load, before + acts * turn // len(harms))
    assert await _counted(load) >= before + acts
    assert await asyncio.to_thread(what_is_wrong, load.platform) == []


async def test_a_thousand_acts_have_one_entry_each_whatever_is_killed(town: Town) -> None:
    harms = random.Random(3).sample(sorted(HARMS), SHORT_TURNS)
    async with loaded(town, people=4, senders=2) as load:
        await _harmed_while_acting(load, harms, SHORT)


@pytest.mark.prove
@pytest.mark.parametrize("seed", [1, 2])
async def test_ten_thousand_acts_have_one_entry_each_whatever_is_killed(town: Town, seed: int) -> None:
    harms = random.Random(seed).choices(sorted(HARMS), k=TURNS)
    async with loaded(town, people=8, senders=6, rooms=3, seed=seed) as load:
        await _harmed_while_acting(load, harms, ACTS)


@pytest.mark.planted
def test_an_act_without_entry_and_one_with_two_are_noticed() -> None:
    tenant, fact = uuid4(), uuid4()
    acts = Acts(Counter({(tenant, "keys"): 2}), {("keys", 1): 2})
    entries = Entries([(tenant, ("keys", 1, 1)), (tenant, ("keys", 1, 2))])
    assert differences(acts, entries) == []
    entries.places.append((tenant, ("keys", 1, 3)))  # told of after the acts were counted
    assert differences(acts, entries) == []
    entries.places.append((tenant, ("keys", 1, 2)))
    entries.facts[("keys", fact)] = 2
    assert differences(acts, entries) == [
        f"2 acts of keys in tenant {tenant} have 3 entries",
        "('keys', 1, 2) has 2 entries",
        f"fact {fact} of keys has 2 entries",
    ]
    del entries.places[1:]
    entries.facts.clear()
    assert differences(acts, entries) == [f"2 acts of keys in tenant {tenant} have 1 entries"]


@pytest.mark.prove
@pytest.mark.planted
async def test_a_cursor_that_is_committed_before_its_effect_is_noticed(tmp_path: Path) -> None:
    """An audit process that dies between the two loses what it was about to take in."""
    platform = Platform(tmp_path / "data").start()  # of its own: what it lost stays lost
    try:
        async with (
            httpx.AsyncClient(timeout=30, trust_env=False) as http,
            loaded(Town(platform, http), people=3, senders=2) as load,
        ):
            await load.send(0)
            assert await asyncio.to_thread(what_is_wrong, platform) == []
            platform.kill("audit", signal.SIGSTOP)
            with another_audit(platform, tmp_path, program=(*DEFECTIVE, "cursor_before_effect")) as dying:
                await load.send(1)
                await asyncio.to_thread(dying.wait, 30)
            platform.kill("audit", signal.SIGCONT)
            await load.send(0)
            found = " | ".join(await asyncio.to_thread(what_is_wrong, platform))
            assert f"acts of messaging in tenant {load.town.tenant.tenant} have" in found
    finally:
        platform.stop()
