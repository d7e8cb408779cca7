"""While the vault is sealed nothing is sent, nothing is stored in clear, and all goes on by itself after."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.engines.openbao import OpenBaoServer
from libs.client.errors import Refused
from tests.faults.canary import places_of
from tests.faults.gateways import another_gateway
from tests.faults.history import Sight, defects_of
from tests.faults.load import loaded
from tests.support.platform import wait_until
from tests.support.town import Town

pytestmark = pytest.mark.xdist_group("faults")
CANARY = "canary-b19e7f04-of-a-sealed-vault"
CANARY_OF_COLD = "canary-40d3aa-of-a-cold-conversation"
CACHE_SECONDS = 1.0


@contextmanager
def sealed(vault: OpenBaoServer) -> Iterator[None]:
    """Keep the vault sealed during the context."""
    vault.seal()
    try:
        yield
    finally:
        vault.unseal()


async def test_sends_fail_closed_while_the_vault_is_sealed_and_work_again_by_themselves(
    town: Town, tmp_path: Path
) -> None:
    platform, vault = town.platform, town.platform.openbao()
    with another_gateway(platform, tmp_path, dek_cache_seconds=CACHE_SECONDS) as gateway:
        async with loaded(town, people=2, senders=1, gateways=[gateway]) as load:
            await load.send(0, "before")
            with sealed(vault):
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
            assert load.history.stored[-1] == Sight(load.conversation, 3, CANARY)
    assert await asyncio.to_thread(places_of, CANARY, platform) == []
    platform.wait_until_ready()


async def test_warm_conversations_go_on_while_the_vault_is_sealed_and_cold_ones_wait(town: Town) -> None:
    vault = town.platform.openbao()
    async with loaded(town, people=2, senders=2, rooms=2) as load:
        warm, cold = load.conversations
        await load.send(0, conversation=warm)
        await load.send(1, conversation=warm)
        with sealed(vault):
            await load.send(0, conversation=warm)
            await load.send(1, conversation=warm)
            waiting = asyncio.create_task(load.send(0, CANARY_OF_COLD, conversation=cold))
            with pytest.raises(Refused) as refused:
                await load.clients[1].post(cold, CANARY_OF_COLD)
            assert refused.value.problem.status == 503
            assert not waiting.done()
        ack = await waiting
        assert ack.conversation == cold
        assert defects_of(await load.settled()) == []
    assert await asyncio.to_thread(places_of, CANARY_OF_COLD, town.platform) == []
    await asyncio.to_thread(town.platform.wait_until_ready)
