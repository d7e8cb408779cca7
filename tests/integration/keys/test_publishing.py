"""The facts of keys reach their streams, in order, through outages."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

from redis.asyncio import Redis

from infra.engines import daemon
from infra.engines.valkey import ValkeyServer
from libs.contracts.events import DekUnwrapped, decode
from libs.contracts.facts import KeysFact
from libs.contracts.streams import Lane, stream_name
from libs.events.records import StreamRecord, partition_of
from libs.events.stream import item_of
from tests.integration.keys.service import Service

FACT = KeysFact.name


async def acts_in_stream(valkey: ValkeyServer, tenant: UUID, count: int) -> list[str]:
    """Return the names of the tenant's events and facts once there are `count` of them in its streams."""
    redis = Redis.from_url(valkey.url().reveal())
    try:
        async with asyncio.timeout(20):
            while True:
                names = await names_in(redis, partition_of(tenant))
                if len(names) >= count:
                    return names
                await asyncio.sleep(0.05)
    finally:
        await redis.aclose()


async def names_in(redis: Redis, part: int) -> list[str]:
    """Return the types of what the lanes of a partition hold, in the order of their positions."""
    found: dict[int, str] = {}
    for lane in Lane:
        entries: Any = await redis.xrange(stream_name("keys", part, lane))
        for item in (item_of(part, entry) for entry in entries):
            if isinstance(item, StreamRecord):
                found[item.position] = decode(item.body)[0].type
    return [found[position] for position in sorted(found)]


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
