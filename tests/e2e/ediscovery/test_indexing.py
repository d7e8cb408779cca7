"""What is sent on a whole platform is found within seconds, once, whoever was killed meanwhile."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from libs.client.client import Client
from libs.client.errors import Refused
from libs.kernel.ids import TenantId
from services.ediscovery.adapters.tantivy import TantivyIndex
from services.ediscovery.domain.documents import Hit
from services.ediscovery.domain.query import Scope, ids_as_written, parse, resolve
from services.runner.account import Account, Door, signed_in
from services.runner.demo.script import person_of
from tests.contract.search.reference import Log
from tests.e2e.runner.test_evidence import kept
from tests.support.town import Town, town

__all__ = ["town"]

pytestmark = pytest.mark.xdist_group("platform")

PASSWORD = "a password of some length"
SECONDS = 120.0  # an index that has a backlog of other tests to take in is late, not wrong


async def found(town: Town, text: str) -> list[Hit]:
    """Search the files of the running index, as the service itself does."""
    index = TantivyIndex(town.platform.data / "search", Log())
    query = resolve(parse(text), ids_as_written)
    return list(await index.search(TenantId(town.tenant.tenant), query, Scope(), 1000))


async def comes_to(town: Town, text: str, count: int) -> list[Hit]:
    deadline = time.monotonic() + SECONDS
    while len(hits := await found(town, text)) < count:
        assert time.monotonic() < deadline, (text, len(hits))
        await asyncio.sleep(0.05)
    assert len(hits) == count
    return hits


async def group_of(town: Town, ada: Client) -> UUID:
    return (await ada.create_conversation("group", [town.principals[1]], name="Plans")).conversation


async def test_a_message_is_found_within_seconds_with_those_who_took_part(town: Town):
    ada, ben, *_ = await town.settle(3)
    plans = await group_of(town, ada)
    await ada.post(plans, "the quarterly zebra report")
    begun = time.monotonic()
    (hit,) = await comes_to(town, '"quarterly zebra" zeb*', 1)
    assert time.monotonic() - begun < SECONDS
    assert (hit.key.conversation, hit.sender) == (plans, town.principals[0])
    await ben.post(plans, "no zebra there")
    await comes_to(town, "zebra", 2)
    assert len(await found(town, f"zebra from:{town.principals[1]}")) == 1
    assert len(await found(town, f"zebra participant:{town.principals[1]}")) == 2
    assert await found(town, f"zebra participant:{town.principals[2]}") == []


@pytest.mark.parametrize("victim", ["ediscovery", "messaging-relay", "keys", "valkey", "postgres"])
async def test_each_message_is_found_once_whoever_was_killed(town: Town, victim: str):
    ada, *_ = await town.settle(2)
    plans = await group_of(town, ada)
    for number in range(20):
        await ada.post(plans, f"giraffe number{number}")
    old = town.platform.kill(victim)
    town.platform.wait_for_restart(victim, old)
    town.platform.wait_until_ready()
    for number in range(20, 30):
        await ada.post(plans, f"giraffe number{number}")
    hits = await comes_to(town, "giraffe", 30)
    assert len({hit.key for hit in hits}) == 30


async def test_a_tenant_whose_key_is_refused_waits_alone_and_goes_on_in_order(town: Town):
    ada, *_ = await town.settle(2)
    plans = await group_of(town, ada)
    facts = town.platform.facts["databases"]
    ours = (town.tenant.tenant, plans)
    town.platform.kill("ediscovery", signal.SIGSTOP)
    with psycopg.connect(facts["keys"], autocommit=True) as keys:
        await ada.post(plans, "lemur one")
        chosen = "FROM keys.dek WHERE tenant = %s AND conversation = %s"
        (wrapped,) = keys.execute(f"SELECT wrapped {chosen}", ours).fetchone() or ("",)
        break_off = "UPDATE keys.dek SET wrapped = %s WHERE tenant = %s AND conversation = %s"
        keys.execute(break_off, (f"{wrapped[:-8]}AAAAAAA=", *ours))
        town.platform.kill("ediscovery", signal.SIGCONT)
        with psycopg.connect(facts["ediscovery"], autocommit=True) as rows:
            parked = "SELECT count(*) FROM ediscovery.parked WHERE tenant = %s"
            deadline = time.monotonic() + SECONDS
            while rows.execute(parked, ours[:1]).fetchone() == (0,):
                assert time.monotonic() < deadline
            other = await group_of(town, ada)
            await ada.post(other, "lemur two")
            while rows.execute(parked, ours[:1]).fetchone() == (1,):
                assert time.monotonic() < deadline
            assert await found(town, "lemur") == []
            keys.execute(break_off, (wrapped, *ours))
            await ada.post(plans, "lemur three")
            await comes_to(town, "lemur", 3)
            while rows.execute(parked, ours[:1]).fetchone() != (0,):
                assert time.monotonic() < deadline + SECONDS


async def test_no_word_is_anywhere_but_in_the_index(town: Town):
    ada, *_ = await town.settle(2)
    plans = await group_of(town, ada)
    await ada.post(plans, "okapicanary9d1f")
    await comes_to(town, "okapicanary9d1f", 1)
    for log in (town.platform.data / "log").glob("*.log"):
        assert "okapicanary9d1f" not in log.read_text(errors="replace"), log.name
    folder = town.platform.data / "search"
    assert folder.stat().st_mode & 0o077 == 0


@pytest.fixture
async def doors(town: Town, tmp_path: Path) -> AsyncIterator[dict[str, Door]]:
    """Give the doors of two people: who runs the platform, and who does not."""
    await town.settle(2)
    place = f"/internal/tenants/{town.tenant.tenant}"
    opened: dict[str, Door] = {}
    async with AsyncExitStack() as stack:
        for number, role in enumerate(("it_admin", "employee")):
            principal = {"principal": str(town.principals[number])}
            town.platform.operator.call("POST", f"{place}/passwords", {**principal, "password": PASSWORD})
            if role != "employee":
                town.platform.operator.call("POST", f"{place}/roles", {**principal, "role": role})
            password = kept(tmp_path / role, PASSWORD.encode())
            account = Account(town.tenant.slug, person_of(number).user_name, password, town.platform.data)
            opened[role] = await stack.enter_async_context(signed_in(account))
        yield opened


async def test_the_lag_is_shown_to_who_runs_the_platform_alone(town: Town, doors: dict[str, Door]):
    deadline = time.monotonic() + SECONDS
    while (lag := await doors["it_admin"].call("GET", "/ediscovery/v1/lag", dict[str, Any]))["seconds"] > 2:
        assert time.monotonic() < deadline, lag
    with pytest.raises(Refused, match="Not found"):
        await doors["employee"].call("GET", "/ediscovery/v1/lag", dict[str, Any])
