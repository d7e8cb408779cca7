"""While the vault is sealed nothing is sent, nothing is stored in clear, and all goes on by itself after."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.engines.openbao import OpenBaoServer
from libs.client.errors import Refused
from tests.faults.canary import places_of
from tests.faults.gateways import another_gateway
from tests.faults.history import defects_of
from tests.faults.load import loaded
from tests.support.platform import wait_until
from tests.support.town import Town

pytestmark = pytest.mark.xdist_group("platform")
CANARY = "canary-b19e7f04-of-a-sealed-vault"
CACHE_SECONDS = 1.0


@asynccontextmanager
async def kept_sealed(vault: OpenBaoServer) -> AsyncIterator[None]:
    """Keep the vault sealed, which would unseal itself after seconds, and unseal it at the end."""
    vault.seal()

    async def again() -> None:
        while True:
            await asyncio.sleep(0.3)
            if not await asyncio.to_thread(vault.is_sealed):
                await asyncio.to_thread(vault.seal)

    keeping = asyncio.create_task(again())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        vault.unseal()


async def test_sends_fail_closed_while_the_vault_is_sealed_and_work_again_by_themselves(
    town: Town, tmp_path: Path
) -> None:
    platform, vault = town.platform, town.platform.openbao()
    with another_gateway(platform, tmp_path, dek_cache_seconds=CACHE_SECONDS) as gateway:
        async with loaded(town, people=2, senders=1, gateways=[gateway]) as load:
            await load.send(0, "before")
            async with kept_sealed(vault):
                # warm keys live for their published time, and no longer
                await asyncio.sleep(CACHE_SECONDS + 0.2)
                waiting = asyncio.create_task(load.send(0, CANARY))
                with pytest.raises(Refused) as refused:
                    await load.clients[0].post(load.conversation, CANARY + "-by-http")
                assert refused.value.problem.status == 503
                assert refused.value.problem.code == "key-service-unavailable"
                with pytest.raises(Refused) as cold:
                    await load.clients[1].create_conversation("direct", [town.principals[0]], name=CANARY)
                assert cold.value.problem.status == 503
                assert not waiting.done()
                rows = load.rows(
                    "SELECT count(*) FROM messaging.entry WHERE conversation = %s", load.conversation
                )
                assert rows == [(2,)]
            await waiting
            await asyncio.to_thread(wait_until, lambda: not vault.is_sealed(), "the vault stayed sealed")
            assert defects_of(await load.settled()) == []
            assert load.history.stored[-1] == (3, CANARY)
    assert await asyncio.to_thread(places_of, CANARY, platform) == []
    platform.wait_until_ready()
