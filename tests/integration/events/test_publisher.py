"""The streams hold what the outbox holds, whatever happens to the publisher and to Redis."""

import asyncio
import os
import signal
from typing import Any
from uuid import uuid4

import pytest
from redis.exceptions import RedisError

from infra.engines import daemon
from infra.engines.valkey import ValkeyServer
from libs.contracts.streams import stream_name
from libs.events.errors import StreamIncomplete
from libs.events.publisher import Publisher
from libs.events.records import StreamRecord
from libs.events.stream import StreamCopy, item_of
from libs.kernel.ids import TenantId
from tests.integration.events.kit import CONSUMER, SOURCE, House, running
from tests.support.engines import Engines

TENANT = uuid4()


async def test_every_committed_event_is_copied_in_order(house: House) -> None:
    await house.write_some(TENANT, 1, 3)
    await house.write_some(TENANT, 2, 250)
    assert await house.publisher().publish_once() == 253
    assert await house.all_entries() == {1: [1, 2, 3], 2: list(range(1, 251))}


async def test_a_publisher_that_starts_again_repeats_nothing(house: House) -> None:
    await house.write_some(TENANT, 1, 3)
    await house.publisher().publish_once()
    await house.write_some(TENANT, 1, 2)
    assert await house.publisher().publish_once() == 2
    assert await house.entries(1) == [1, 2, 3, 4, 5]


async def test_a_publisher_killed_between_redis_and_its_memory_repeats_without_effect(house: House) -> None:
    await house.write_some(TENANT, 1, 3)
    async with house.publishing.begin() as tx:
        row = await tx.fetch_one("SELECT body FROM sample.outbox WHERE part = 1 AND position = 1")
    assert row is not None
    copy = StreamCopy(house.redis, SOURCE)
    await house.publisher().publish_once()
    records = await house.fetch_gap(1, 0, 10)
    assert await copy.add(records) == ({1: 3}, None)  # the same again: refused by Redis, so a success
    assert await house.entries(1) == [1, 2, 3]


async def test_of_two_publishers_one_has_a_partition_and_the_other_takes_over(house: House) -> None:
    await house.write_some(TENANT, 1, 3)
    async with house.publisher()._shift() as first, house.publisher()._shift() as second:
        await first.adopt()
        await second.adopt()
        assert await second.copy() == 0
        assert await first.copy() == 3
        await first.release()
        await house.write_some(TENANT, 1, 1)
        await second.adopt()
        assert await second.copy() == 1
    assert await house.entries(1) == [1, 2, 3, 4]


async def test_two_publishers_at_once_leave_one_clean_stream(house: House) -> None:
    await house.write_some(TENANT, 1, 50)
    records = await house.fetch_gap(1, 0, 100)
    copies = [StreamCopy(house.redis, SOURCE).add(records[start:]) for start in (0, 0, 10)]
    for reached, refusal in await asyncio.gather(*copies):
        assert reached == {1: 50}
        assert refusal is None
    assert set(await house.entries(1)) <= set(range(1, 51))


async def test_a_flushed_redis_is_filled_again_from_the_slowest_cursor(house: House) -> None:
    await house.write_some(TENANT, 1, 5)
    await house.publisher().publish_once()
    await house.report(CONSUMER, {1: 2})
    await house.redis.flushall()
    assert await house.publisher().publish_once() == 3
    assert await house.entries(1) == [3, 4, 5]


async def test_a_running_publisher_notices_a_flush_while_somebody_waits(house: House) -> None:
    await house.write_some(TENANT, 1, 5)
    async with house.publisher()._shift() as shift:
        await shift.step()
        await house.redis.flushall()
        assert await shift.step() == 0
        house.clock.advance(1.0)
        assert await shift.step() == 5
    assert await house.entries(1) == [1, 2, 3, 4, 5]


async def test_a_stream_that_lost_its_tail_is_completed(house: House) -> None:
    await house.write_some(TENANT, 1, 5)
    async with house.publisher()._shift() as shift:
        await shift.step()
        records = await house.fetch_gap(1, 0, 3)
        await house.redis.delete(stream_name(SOURCE, 1))
        await StreamCopy(house.redis, SOURCE).add(records)  # as a replica that had only these
        house.clock.advance(1.0)
        await shift.step()
    assert await house.entries(1) == [1, 2, 3, 4, 5]


async def test_a_record_comes_out_of_its_stream_as_it_went_in(house: House) -> None:
    bodies = [b"", b"\x00\r\n$3\r\n", bytes(range(256)), "\U0001f512".encode(), b"x" * 65_536]
    records = [
        StreamRecord(1, (1 << 53) + at, TenantId(TENANT), "sample.note.made.v1", body)
        for at, body in enumerate(bodies)
    ]
    copy = StreamCopy(house.redis, SOURCE)
    assert await copy.add(records) == ({1: records[-1].position}, None)
    assert await copy.add(records[2:]) == ({1: records[-1].position}, None)  # a repeat
    entries: Any = await house.redis.xrange(stream_name(SOURCE, 1))
    assert [item_of(1, entry) for entry in entries] == records


async def test_a_stream_of_another_past_is_thrown_away(house: House) -> None:
    await house.redis.xadd(stream_name(SOURCE, 1), {"t": TENANT.bytes, "n": "x", "b": b""}, id="900-0")
    await house.write_some(TENANT, 1, 2)
    await house.publisher().publish_once()
    assert await house.entries(1) == [1, 2]


async def test_streams_are_trimmed_below_the_slowest_cursor_alone(house: House) -> None:
    await house.write_some(TENANT, 1, 450)
    publisher = house.publisher(consumers=(CONSUMER, "slow"))
    await house.report(CONSUMER, {1: 450})
    await publisher.publish_once()
    assert await house.entries(1) == list(range(1, 451))  # "slow" never reported: it stands at 0
    await house.report("slow", {1: 300})
    await publisher.publish_once()
    kept = await house.entries(1)
    assert kept[0] > 1
    assert kept[-151:] == list(range(300, 451))


async def test_a_trimmed_stream_goes_on_where_it_was(house: House) -> None:
    await house.write_some(TENANT, 1, 300)
    await house.report(CONSUMER, {1: 300})
    await house.publisher().publish_once()
    await house.redis.xtrim(stream_name(SOURCE, 1), maxlen=0, approximate=False)
    await house.write_some(TENANT, 1, 1)
    await house.publisher().publish_once()
    assert await house.entries(1) == [301]


async def test_what_redis_refuses_is_not_taken_for_copied(house: House) -> None:
    await house.write_some(TENANT, 1, 2)
    await house.write_some(TENANT, 2, 2)
    await house.redis.set(stream_name(SOURCE, 1), "no stream")
    with pytest.raises((StreamIncomplete, RedisError)):
        await house.publisher().publish_once()
    await house.redis.delete(stream_name(SOURCE, 1))
    await house.publisher().publish_once()
    assert await house.all_entries() == {1: [1, 2], 2: [1, 2]}


async def test_lag_is_shown(house: House) -> None:
    await house.write_some(TENANT, 1, 4)
    await house.publisher().publish_once()
    await house.report(CONSUMER, {1: 1})
    await house.publisher().publish_once()
    shown = house.metrics.exposition().decode()
    assert 'muniment_outbox_published_total{source="sample"} 4.0' in shown
    assert 'muniment_outbox_lag_events{source="sample"} 0.0' in shown
    assert 'muniment_outbox_consumer_lag_events{consumer="reader",source="sample"} 3.0' in shown


async def until_published(house: House, part: int, count: int) -> None:
    """Wait for real processes, within bounds."""
    async with asyncio.timeout(20):
        while True:
            try:
                if len(await house.entries(part)) == count:
                    return
            except (RedisError, OSError):
                pass
            house.clock.advance(1.0)
            await asyncio.sleep(0.02)


async def test_a_killed_valkey_is_waited_out_and_caught_up_with(
    house: House, fresh_valkey: ValkeyServer
) -> None:
    async with running(house.publisher().run()):
        await house.write_some(TENANT, 1, 3)
        await until_published(house, 1, 3)
        assert fresh_valkey.pid is not None
        os.kill(fresh_valkey.pid, signal.SIGKILL)
        await house.write_some(TENANT, 1, 3)
        await asyncio.to_thread(fresh_valkey.stop)
        await asyncio.to_thread(daemon.start, fresh_valkey)
        await until_published(house, 1, 6)


async def test_a_publisher_whose_connection_dies_gets_another_and_its_partitions_back(
    house: House, engines: Engines
) -> None:
    publisher: Publisher = house.publisher()
    async with running(publisher.run()):
        await house.write_some(TENANT, 1, 3)
        await until_published(house, 1, 3)
        await house.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = 'sample_publisher'"
        )
        await house.write_some(TENANT, 1, 2)
        await until_published(house, 1, 5)
