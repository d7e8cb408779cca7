"""A tenant whose key the vault refuses for long loses his index, and has it again when the key comes back."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from libs.kernel.ids import TenantId
from services.ediscovery.adapters.tantivy import TantivyIndex
from services.ediscovery.domain.errors import IndexUnavailable
from tests.contract.search.reference import Log
from tests.e2e.runner.test_evidence import ran
from tests.support.engines import ROOT
from tests.support.platform import Platform
from tests.support.town import Town, town

__all__ = ["town"]

pytestmark = pytest.mark.xdist_group("platform")

SECONDS = 120.0
POLICY = (ROOT / "policies" / "vault" / "keys.hcl").read_text("utf-8")


@pytest.fixture(scope="module", autouse=True)
def soon(platform: Platform) -> Iterator[None]:
    """Have an index dropped after seconds, in which no key is kept in memory for longer."""
    with platform.told(("ediscovery",), "ediscovery", {"revoked_seconds": 2.0, "dek_cache_seconds": 1.0}):
        yield


async def until(is_so: Callable[[], Awaitable[bool]], complaint: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not await is_so():
        assert time.monotonic() < deadline, complaint
        await asyncio.sleep(0.1)


async def speaks(settled: Town, word: str) -> None:
    """Let somebody of a new tenant say a word, and wait until it stands in the files of the index."""
    ada, *_ = await settled.settle(2)
    room = (await ada.create_conversation("group", [settled.principals[1]], name="Plans")).conversation
    await ada.post(room, word)
    await until(lambda: stands(settled, word), f"{word} is not indexed")


async def stands(settled: Town, word: str) -> bool:
    """Say whether a word stands in the files of a tenant's index, of any generation."""
    search = settled.platform.data / "search"
    while True:
        try:
            terms = [
                await TantivyIndex(Path(folder), Log()).terms(TenantId(settled.tenant.tenant))
                for folder in (search, *search.glob("g*"))
            ]
        except IndexUnavailable:  # files went while they were read: that is looked at again
            continue
        return any(word in each for each in terms)


def rows(settled: Town, service: str, statement: str) -> list[Any]:
    with psycopg.connect(settled.platform.facts["databases"][service]) as connection:
        return connection.execute(statement.encode(), (settled.tenant.tenant,)).fetchall()


def dropped(settled: Town) -> int:
    ((count,),) = rows(
        settled, "ediscovery", "SELECT count(*) FROM ediscovery.index_dropped WHERE tenant = %s"
    )
    return int(count)


async def test_an_index_goes_with_its_key_and_comes_back_with_it(town: Town, platform: Platform) -> None:
    ours, theirs = "serval7d11", "caracal7d11"
    await speaks(town, ours)
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        neighbour = Town(platform, http)
        await speaks(neighbour, theirs)
        ((kek,),) = rows(town, "keys", "SELECT kek FROM keys.kek WHERE tenant = %s")
        vault = platform.openbao()
        vault.write_policy(f'{POLICY}\npath "transit/decrypt/{kek}" {{ capabilities = ["deny"] }}\n')
        try:

            async def gone() -> bool:
                return not await stands(town, ours) and dropped(town) > 0

            await until(gone, "the index of a revoked key is there")
            assert await stands(neighbour, theirs)
            assert dropped(neighbour) == 0
            counted = await ran("audit", "reconcile", "--data", platform.data, "--json")
            assert counted.returncode == 0, counted
        finally:
            vault.write_policy(POLICY)
        await until(lambda: stands(town, ours), "the index did not come back with its key")
    assert dropped(town) == 1


async def test_a_vault_that_is_sealed_drops_nothing(town: Town, platform: Platform) -> None:
    await speaks(town, "margay7d11")
    vault = platform.openbao()
    vault.seal()
    try:
        await asyncio.sleep(5)  # nothing is to happen: there is nothing to wait for
        assert await stands(town, "margay7d11")
        assert dropped(town) == 0
    finally:
        vault.unseal()
    await asyncio.to_thread(platform.wait_until_ready)
