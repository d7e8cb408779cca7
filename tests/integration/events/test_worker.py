"""A worker acts on each event once, and keeps what it cannot act on."""

import asyncio
from uuid import UUID, uuid4

import pytest

from libs.contracts.events import CloudEvent
from libs.contracts.streams import stream_name
from libs.db.pool import Transaction
from libs.events.errors import ReplayFailed
from libs.events.worker import TRIES
from tests.integration.events.kit import SOURCE, House, event_of, fact_of, running, until

TENANT, OTHER = uuid4(), uuid4()


class Act:
    """Counts what was acted on by committed transactions, and fails for one tenant while it is ill."""

    def __init__(self, ill: UUID | None = None) -> None:
        self.ill = ill
        self.tried = 0

    async def __call__(self, tx: Transaction, event: CloudEvent) -> None:
        self.tried += 1
        await tx.execute(
            "INSERT INTO sample.effect (tenant, event_id, source_part, position) VALUES (%s, %s, 0, 0)"
            " ON CONFLICT (tenant, event_id) DO UPDATE SET times = sample.effect.times + 1",
            (event.tenant, event.id),
        )
        if event.tenant == self.ill:
            raise ValueError


async def times(house: House) -> list[int]:
    """Return how often each event was acted on."""
    cursor = await house.admin.execute("SELECT times FROM sample.effect")
    return [row[0] for row in await cursor.fetchall()]


async def published(house: House, *tenants: UUID) -> None:
    for part, tenant in enumerate(tenants):
        await house.write([event_of(tenant, part % 64)])
    await house.publisher().publish_once()


async def test_every_event_is_acted_on_once_by_many_instances(house: House) -> None:
    await published(house, *[TENANT] * 100)
    act = Act()
    workers = [house.worker(act, instance=name) for name in ("one", "two", "three")]
    await asyncio.gather(*(worker.work_once() for worker in workers))
    assert await times(house) == [1] * 100


async def test_what_is_in_another_lane_is_passed_over(house: House) -> None:
    await house.write([fact_of(TENANT, 0)])
    await house.write(
        [record for part in range(3) for record in (event_of(TENANT, part), fact_of(TENANT, part))]
    )
    await house.publisher().publish_once()
    worker = house.worker(Act())
    assert await worker.work_once() == 3
    assert await times(house) == [1] * 3
    assert {part: end for part, end in (await worker._group.passed()).items() if end} == {0: 3, 1: 2, 2: 2}


async def test_an_event_that_comes_again_is_not_acted_on_again(house: House) -> None:
    await published(house, *[TENANT] * 10)
    act = Act()
    await house.worker(act).work_once()
    await house.redis.flushall()
    await house.report("reader", dict.fromkeys(range(64), 0))
    await house.publisher().publish_once()
    for part in range(64):  # a group that starts at the very beginning
        await house.redis.xgroup_create(stream_name(SOURCE, part), "reader", id="0", mkstream=True)
    assert await house.worker(act).work_once() == 10
    assert await times(house) == [1] * 10


async def test_a_flush_loses_nothing_that_was_not_acted_on(house: House) -> None:
    await published(house, *[TENANT] * 10)
    await house.worker(Act()).work_once()
    await published(house, *[OTHER] * 10)
    await house.redis.flushall()
    await house.publisher().publish_once()
    await house.worker(Act()).work_once()
    assert await times(house) == [1] * 20


async def test_what_an_instance_left_lying_is_taken_over(house: House) -> None:
    await published(house, *[TENANT] * 3)
    dead = house.worker(Act(), instance="dead")
    await dead._join()
    assert len(await dead._group.read(wait_seconds=0)) == 3  # handed out, and never acknowledged
    await house.worker(Act(), instance="alive").work_once()
    assert await times(house) == [1] * 3


async def test_a_crash_after_the_commit_and_before_the_acknowledgement_repeats_nothing(house: House) -> None:
    await published(house, *[TENANT] * 3)
    dead = house.worker(Act(), instance="dead")
    await dead._join()
    for delivery in await dead._group.read(wait_seconds=0):
        await dead._act_once(delivery.record)
    await house.worker(Act(), instance="alive").work_once()
    assert await times(house) == [1] * 3


async def test_an_event_that_fails_every_time_becomes_a_dead_letter_and_stops_nobody(house: House) -> None:
    await published(house, TENANT, OTHER, OTHER)
    act = Act(ill=TENANT)
    worker = house.worker(act)
    for _ in range(TRIES + 1):
        await worker.work_once()
    assert await times(house) == [1, 1]
    assert act.tried == 2 + TRIES
    (letter,) = await worker.dead_letters()
    assert (letter.record.tenant, letter.record.position, letter.reason) == (TENANT, 1, "ValueError")
    assert letter.tries == TRIES


async def test_a_dead_letter_is_replayed_once_when_the_cause_is_gone(house: House) -> None:
    await published(house, TENANT)
    act = Act(ill=TENANT)
    worker = house.worker(act)
    for _ in range(TRIES):
        await worker.work_once()
    (letter,) = await worker.dead_letters()
    with pytest.raises(ReplayFailed):
        await worker.replay(letter)
    assert await worker.dead_letters() == [letter]
    act.ill = None
    await worker.replay(letter)
    await worker.replay(letter)  # by a second hand: it is gone already
    assert await worker.dead_letters() == []
    assert await times(house) == [1]


async def test_a_body_that_cannot_be_read_becomes_a_dead_letter(house: House) -> None:
    await house.write([event_of(TENANT, 0, b"no event")])
    await house.publisher().publish_once()
    worker = house.worker(Act())
    for _ in range(TRIES):
        await worker.work_once()
    assert [letter.reason for letter in await worker.dead_letters()] == ["MalformedEvent"]


async def test_the_owner_hears_only_of_what_is_done_without_exception(house: House) -> None:
    for tenant in (OTHER, TENANT, OTHER):
        await house.write([event_of(tenant, 0)])
    await house.publisher().publish_once()
    await house.worker(Act(ill=TENANT)).work_once()
    cursor = await house.admin.execute("SELECT position FROM sample.outbox_consumer WHERE part = 0")
    assert await cursor.fetchone() == (1,)


async def test_a_running_worker_acts_and_joins_again_after_a_flush(house: House) -> None:
    async with running(house.worker(Act()).run(), house.publisher().run()):
        await house.write([event_of(TENANT, part) for part in range(5)])

        async def five() -> bool:
            return len(await times(house)) == 5

        async def ten() -> bool:
            return len(await times(house)) == 10

        await until(five, house.clock)
        await house.redis.flushall()
        await house.write([event_of(TENANT, part) for part in range(5)])
        await until(ten, house.clock)
    assert await times(house) == [1] * 10
