"""No acknowledged message is lost, none is doubled, and seq has no gap, whatever is killed under load."""

import asyncio
import os
import signal
import time
from collections.abc import Callable

import psutil
import psycopg
import pytest
import redis

from tests.faults.history import defects_of
from tests.faults.load import loaded
from tests.support.platform import Platform, wait_until
from tests.support.town import Town

pytestmark = pytest.mark.xdist_group("platform")


def _killed(platform: Platform, name: str) -> Callable[[], None]:
    """Return the fault: a process is killed without notice, and comes back."""

    def fault() -> None:
        platform.wait_for_restart(name, platform.kill(name))

    return fault


def _postgres_child(platform: Platform, title: str) -> int:
    """Return the pid of a process of the messaging database's server, by what it does."""
    children = psutil.Process(platform.pid("postgres")).children(recursive=True)
    found = [child.pid for child in children if title in " ".join(child.cmdline())]
    assert found, f"PostgreSQL has no {title}"
    return found[0]


def _is_serving(platform: Platform) -> bool:
    try:
        with psycopg.connect(platform.facts["count_database"], connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


@pytest.mark.parametrize("name", ["gw-1", "messaging-relay", "identity", "keys", "valkey", "openbao"])
async def test_killing_a_process_loses_and_doubles_nothing(town: Town, name: str) -> None:
    async with loaded(town) as load:
        acked = await load.during(_killed(town.platform, name))
        assert acked > 20
        assert defects_of(await load.settled()) == []


@pytest.mark.parametrize(
    "title", ["postmaster", "messaging_writer", "walwriter", "checkpointer", "background writer"]
)
async def test_killing_any_process_of_postgresql_loses_and_doubles_nothing(town: Town, title: str) -> None:
    platform = town.platform

    def fault() -> None:
        if title == "postmaster":
            platform.wait_for_restart("postgres", platform.kill("postgres"))
        else:
            os.kill(_postgres_child(platform, title), signal.SIGKILL)
        wait_until(lambda: _is_serving(platform), "PostgreSQL did not come back")

    async with loaded(town) as load:
        acked = await load.during(fault)
        assert acked > 20
        assert defects_of(await load.settled()) == []
        platform.wait_until_ready()


async def test_a_flushed_valkey_loses_nothing_and_the_lag_goes_back_to_zero(town: Town) -> None:
    def fault() -> None:
        with redis.Redis.from_url(town.platform.facts["valkey"]) as valkey:
            valkey.flushall()

    async with loaded(town) as load:
        assert await load.during(fault) > 20
        assert defects_of(await load.settled()) == []
        # whoever is provisioned now becomes known to messaging by a stream that was just emptied
        await town.settle(2)

        def lag() -> int:
            heads = dict(load.rows("SELECT part, position FROM identity.outbox_head"))
            cursors = dict(
                load.rows("SELECT part, position FROM messaging.projection_cursor WHERE source = 'identity'")
            )
            return sum(position - cursors[part] for part, position in heads.items())

        await asyncio.to_thread(wait_until, lambda: lag() == 0, "messaging lags behind identity")


async def test_a_stopped_valkey_delays_and_loses_nothing(town: Town) -> None:
    platform = town.platform

    def fault() -> None:
        pid = platform.kill("valkey", signal.SIGSTOP)
        try:
            time.sleep(2.5)
        finally:
            os.kill(pid, signal.SIGCONT)

    async with loaded(town) as load:
        assert await load.during(fault, seconds=3.0) > 20
        assert defects_of(await load.settled()) == []
        platform.wait_until_ready()
