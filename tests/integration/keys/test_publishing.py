"""The facts of keys reach their streams, in order, through outages."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

from redis.asyncio import Redis

from infra.engines import daemon
from infra.engines.valkey import ValkeyServer
from libs.contracts.events import DekUnwrapped, decode
from libs.contracts.facts import KeysFact
from libs.contracts.streams import stream_name
from libs.events.outbox import partition_of
from tests.integration.keys.service import Service

FACT = KeysFact.name


async def acts_in_stream(valkey: ValkeyServer, tenant: UUID, count: int) -> list[str]:
    """Return the names of the tenant's facts once there are `count` of them in its stream."""
    redis = Redis.from_url(valkey.url().reveal())
    try:
        async with asyncio.timeout(20):
            while True:
                entries: Any = await redis.xrange(stream_name("keys", partition_of(tenant)))
                if len(entries) >= count:
                    return [name_of(fields) for _, fields in entries]
                await asyncio.sleep(0.05)
    finally:
        await redis.aclose()


def name_of(fields: dict[bytes, bytes]) -> str:
    """Return the type of the event in a stream's entry."""
    return decode(fields[b"b"])[0].type


async def test_the_facts_of_keys_are_published_by_the_keys_process_itself(
    keys: Service, fresh_valkey: ValkeyServer, tenant: UUID, conversation: UUID
) -> None:
    await keys.obtain_one(tenant, conversation)
    assert await acts_in_stream(fresh_valkey, tenant, 6) == [
        "keys.kek.created.v1",
        FACT,
        "keys.dek.created.v1",
        FACT,
        "keys.dek.unwrapped.v1",
        FACT,
    ]
    assert (await keys.http.get("/readyz")).status_code == 200


async def test_keys_are_served_while_redis_is_gone_and_their_facts_follow(
    keys: Service, fresh_valkey: ValkeyServer, tenant: UUID, conversation: UUID
) -> None:
    fresh_valkey.stop()
    for _ in range(3):
        await keys.obtain_one(tenant, conversation)
    await keys.obtain_one(tenant, uuid4())
    daemon.start(fresh_valkey)
    names = await acts_in_stream(fresh_valkey, tenant, 14)
    assert names.count(DekUnwrapped.name) == 4
    assert names.count("keys.dek.created.v1") == 2
    assert names.count(FACT) == 7
