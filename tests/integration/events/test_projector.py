"""A projection takes in each event exactly once and in order, or parks its tenant and says so."""

import asyncio
from uuid import UUID, uuid4

import pytest

from libs.contracts.events import CloudEvent, RoleGranted
from libs.contracts.streams import Lane, stream_name
from libs.db.pool import Transaction
from libs.events.errors import ReplayFailed
from libs.events.projector import PROMPT, THRIFTY, Pace, shares_of
from libs.events.records import Passage, StreamItem, StreamRecord
from libs.kernel.errors import DomainError
from libs.kernel.ids import TenantId
from tests.integration.events.kit import (
    CONSUMER,
    SOURCE,
    House,
    apply_effect,
    event_of,
    fact_of,
    once_each,
    running,
    somebody_waits,
    until,
)

TENANT, OTHER = uuid4(), uuid4()


async def published(house: House, **counts: int) -> None:
    """Write and publish `counts` events, by partition: p1, p2 and so on."""
    for part, count in counts.items():
        await house.write_some(TENANT, int(part[1:]), count)
    await house.publisher().publish_once()


async def test_every_event_has_one_effect_in_order(house: House) -> None:
    await published(house, p1=3, p2=120)
    assert await house.projector().catch_up() == 123
    assert once_each(await house.effects(), {1: 3, 2: 120})
    assert await house.projector().catch_up() == 0


async def test_a_projector_that_starts_again_goes_on_behind_its_cursor(house: House) -> None:
    await published(house, p1=3)
    await house.projector().catch_up()
    await published(house, p1=4)
    assert await house.projector().catch_up() == 4
    assert once_each(await house.effects(), {1: 7})


async def test_projectors_share_the_partitions_of_a_source(house: House) -> None:
    await published(house, p1=3, p2=4)
    assert await house.projector(parts=range(1, 64, 2)).catch_up() == 3
    assert once_each(await house.effects(), {1: 3})
    assert await house.projector(parts=range(0, 64, 2)).catch_up() == 4
    assert once_each(await house.effects(), {1: 3, 2: 4})


async def kill_after_effect(house: House, tx: Transaction) -> None:
    """Cut the connection when the effect is made and the cursor is not: as `kill -9` of either side would."""
    await house.admin.execute("SELECT pg_terminate_backend(%s, 5000)", (tx.connection.info.backend_pid,))


async def effects_after_a_crash(house: House, *, inside: bool) -> dict[int, list[tuple[int, int]]]:
    """Crash once between effect and cursor, let it go on, and return the effects.

    The planted defect is an effect outside of the cursor's transaction.
    """
    crashes = iter([False, True])

    async def apply(tx: Transaction, event: CloudEvent, position: int) -> None:
        if inside:
            await apply_effect(tx, event, position)
        else:
            async with house.consuming.begin() as another:
                await apply_effect(another, event, position)
        if next(crashes, False):
            await kill_after_effect(house, tx)

    await published(house, p1=3)
    async with running(house.projector(apply).run()):

        async def done() -> bool:
            return await cursor_of(house, 1) == 3

        await until(done, house.clock)
    return await house.effects()


async def cursor_of(house: House, part: int) -> int:
    statement = "SELECT position FROM sample.projection_cursor WHERE part = %s"
    row = await (await house.admin.execute(statement, (part,))).fetchone()
    return 0 if row is None else int(row[0])


async def test_a_crash_between_effect_and_cursor_repeats_no_effect(house: House) -> None:
    assert once_each(await effects_after_a_crash(house, inside=True), {1: 3})


async def test_an_effect_outside_of_the_cursors_transaction_is_caught(house: House) -> None:
    assert not once_each(await effects_after_a_crash(house, inside=False), {1: 3})


async def test_two_projectors_of_one_name_share_without_a_second_effect(house: House) -> None:
    await published(house, p1=150, p2=150)
    first, second = house.projector(), house.projector()
    await asyncio.gather(first.catch_up(), second.catch_up())
    assert once_each(await house.effects(), {1: 150, 2: 150})


async def test_two_consumers_each_have_cursors_of_their_own(house: House) -> None:
    await published(house, p1=2)
    await house.projector(name="reader").catch_up()
    await house.projector(name="second").catch_up()
    assert await house.effects() == {1: [(1, 2), (2, 2)]}


async def test_a_gap_in_the_stream_is_filled_from_the_owners_outbox(house: House) -> None:
    await published(house, p1=5)
    await house.redis.xdel(stream_name(SOURCE, 1), "1-0", "2-0", "4-0")
    assert await house.projector().catch_up() == 5
    assert once_each(await house.effects(), {1: 5})
    assert house.gaps_asked == [(1, 0)]


async def test_a_stream_that_was_flushed_and_goes_on_later_is_filled_too(house: House) -> None:
    await published(house, p1=3)
    await house.projector().catch_up()
    await house.write_some(TENANT, 1, 4)
    records = await house.fetch_gap(1, 6, 10)
    await house.redis.flushall()
    await house.redis.xadd(
        stream_name(SOURCE, 1), {"t": TENANT.bytes, "n": records[0].name, "b": records[0].body}, id="7-0"
    )
    assert await house.projector().catch_up() == 4
    assert once_each(await house.effects(), {1: 7})


async def test_a_gap_that_nobody_can_fill_stops_its_partition_alone(house: House) -> None:
    await published(house, p1=3, p2=3)
    await house.redis.xdel(stream_name(SOURCE, 1), "2-0")
    house.owner_is_down = True
    projector = house.projector()
    assert await projector.catch_up() == 4
    assert once_each(await house.effects(), {1: 1, 2: 3})
    house.owner_is_down = False
    house.clock.advance(1.0)
    assert await projector.catch_up() == 2
    assert once_each(await house.effects(), {1: 3, 2: 3})


async def test_an_event_that_the_owner_lost_is_never_skipped(house: House) -> None:
    await published(house, p1=3)
    await house.redis.xdel(stream_name(SOURCE, 1), "2-0")
    await house.admin.execute("DELETE FROM sample.outbox WHERE position = 2")
    projector = house.projector()
    for _ in range(3):
        await projector.catch_up()
        house.clock.advance(1.0)
    assert once_each(await house.effects(), {1: 1})


async def test_cursors_are_reported_to_the_owner(house: House) -> None:
    await published(house, p1=3, p2=1)
    await house.projector().catch_up()
    cursor = await house.admin.execute(
        "SELECT part, position FROM sample.outbox_consumer"
        " WHERE consumer = %s AND position > 0 ORDER BY part",
        (CONSUMER,),
    )
    assert await cursor.fetchall() == [(1, 3), (2, 1)]


class Poison:
    """An effect that one event of a tenant breaks, until it is cured."""

    def __init__(self, tenant: UUID, error: Exception, at: int = 3) -> None:
        self.tenant = tenant
        self.at = at
        self.error = error
        self.tried = 0
        self.cured = False

    async def apply(self, tx: Transaction, event: CloudEvent, position: int) -> None:
        await apply_effect(tx, event, position)
        if event.tenant == self.tenant and position == self.at and not self.cured:
            self.tried += 1
            raise self.error


@pytest.mark.parametrize("error", [DomainError(), ValueError("never shown"), KeyError("never shown")])
async def test_a_poisonous_event_parks_its_tenant_in_order_and_no_other(
    house: House, error: Exception
) -> None:
    # partition 1: TENANT, OTHER, TENANT (poison), OTHER, TENANT; partition 2: TENANT, OTHER
    for tenant, part in (
        (TENANT, 1),
        (OTHER, 1),
        (TENANT, 1),
        (OTHER, 1),
        (TENANT, 1),
        (TENANT, 2),
        (OTHER, 2),
    ):
        await house.write([event_of(tenant, part)])
    await house.publisher().publish_once()
    poison = Poison(TENANT, error)
    assert await house.projector(poison.apply).catch_up() == 7
    assert await house.effects() == {1: [(1, 1), (2, 1), (4, 1)], 2: [(2, 1)]}
    reason = type(error).__name__
    behind = "follows a parked event"
    assert await house.parked() == [(TENANT, 1, 3, reason), (TENANT, 1, 5, behind), (TENANT, 2, 1, behind)]
    assert poison.tried == 3 + 1  # once in the batch, three times alone
    shown = house.metrics.exposition().decode()
    assert 'muniment_events_put_aside_total{consumer="reader",source="sample"} 3.0' in shown


async def test_a_parked_tenant_goes_on_after_its_replay(house: House) -> None:
    for tenant in (TENANT, OTHER, TENANT, TENANT):
        await house.write([event_of(tenant, 1)])
    await house.publisher().publish_once()
    poison = Poison(TENANT, ValueError())
    projector = house.projector(poison.apply)
    await projector.catch_up()
    with pytest.raises(ReplayFailed) as failed:
        await projector.replay_parked(TenantId(TENANT))
    assert (failed.value.position, failed.value.reason) == (3, "ValueError")
    assert [position for _, _, position, _ in await house.parked()] == [3, 4]
    poison.cured = True
    assert await projector.replay_parked(TenantId(TENANT)) == 2
    assert await house.parked() == []
    await house.write([event_of(TENANT, 1)])
    await house.publisher().publish_once()
    await projector.catch_up()
    assert once_each(await house.effects(), {1: 5})


async def test_a_replay_waits_for_what_is_being_parked_and_takes_it_too(house: House) -> None:
    poison = Poison(TENANT, ValueError(), at=1)
    await house.write([event_of(TENANT, 1)])
    await house.publisher().publish_once()
    await house.projector(poison.apply).catch_up()
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def wait_at_the_other(tx: Transaction, event: CloudEvent, position: int) -> None:
        if event.tenant == OTHER:
            reached.set()
            await go_on.wait()
        await apply_effect(tx, event, position)

    # one transaction parks the tenant's second event and then waits before its commit
    await house.write([event_of(TENANT, 1), event_of(OTHER, 1)])
    await house.publisher().publish_once()
    poison.cured = True
    catching_up = asyncio.create_task(house.projector(wait_at_the_other).catch_up())
    await reached.wait()
    replaying = asyncio.create_task(house.projector(poison.apply).replay_parked(TenantId(TENANT)))

    async def replayed_or_waits() -> bool:
        return replaying.done() or await somebody_waits(house)

    await until(replayed_or_waits, house.clock)
    go_on.set()
    await asyncio.gather(catching_up, replaying)
    assert await house.parked() == []
    assert {position for position, _ in (await house.effects())[1]} == {1, 2, 3}


async def test_a_replay_and_new_events_at_once_keep_the_tenants_order(house: House) -> None:
    for _ in range(30):
        await house.write([event_of(TENANT, 1)])
    await house.publisher().publish_once()
    poison = Poison(TENANT, ValueError())
    projector = house.projector(poison.apply)
    await projector.catch_up()
    await house.write_some(TENANT, 1, 30)
    await house.publisher().publish_once()
    poison.cured = True
    await asyncio.gather(projector.replay_parked(TenantId(TENANT)), house.projector(poison.apply).catch_up())
    await projector.replay_parked(TenantId(TENANT))
    assert once_each(await house.effects(), {1: 60})


async def test_a_body_that_cannot_be_read_parks_its_tenant_too(house: House) -> None:
    await house.write([event_of(TENANT, 1, b"no event"), event_of(OTHER, 1)])
    await house.publisher().publish_once()
    await house.projector().catch_up()
    assert await house.parked() == [(TENANT, 1, 1, "MalformedEvent")]
    assert await house.effects() == {1: [(2, 1)]}


async def test_a_missing_table_parks_nobody(house: House) -> None:
    await published(house, p1=2)
    await house.admin.execute("ALTER TABLE sample.effect RENAME TO elsewhere")
    async with running(house.projector().run()):
        await asyncio.sleep(0.3)
        await house.admin.execute("ALTER TABLE sample.elsewhere RENAME TO effect")

        async def done() -> bool:
            return once_each(await house.effects(), {1: 2})

        await until(done, house.clock)
    assert await house.parked() == []


async def test_an_unknown_event_moves_the_cursor_like_any_other(house: House) -> None:
    known = event_of(TENANT, 1)
    renamed = known.body.replace(b"identity.role.granted.v1", b"identity.role.unheard.v9")
    await house.write([event_of(TENANT, 1, renamed)])
    await house.publisher().publish_once()
    assert await house.projector().catch_up() == 1
    assert await house.parked() == []


async def test_publisher_and_projector_run_together_through_a_flush(house: House) -> None:
    async with running(house.publisher().run(), house.projector().run()):
        await house.write_some(TENANT, 1, 20)
        await house.redis.flushall()
        await house.write_some(TENANT, 2, 20)

        async def done() -> bool:
            return once_each(await house.effects(), {1: 20, 2: 20})

        await until(done, house.clock)


async def write_both_lanes(house: House) -> None:
    """Write facts to 2, 3, 5 and 8 of partition 1 and to 1 of partition 2, and events to the rest up to 8."""
    await house.write(
        [fact_of(TENANT, 1) if at in (2, 3, 5, 8) else event_of(TENANT, 1) for at in range(1, 9)]
    )
    await house.write([fact_of(TENANT, 2)])


async def took_in_one_lane_each(house: House) -> bool:
    """Say whether readers of each lane had its records alone, each once, and all stand at the end."""
    await house.projector(name="reader").catch_up()
    events = await house.effects()
    await house.projector(name="auditor", lane=Lane.FACTS).catch_up()
    ends = "SELECT DISTINCT part, position FROM sample.projection_cursor WHERE position > 0 ORDER BY part"
    return (
        events == {1: [(1, 1), (4, 1), (6, 1), (7, 1)]}
        and await house.effects()
        == {1: [(1, 1), (4, 1), (6, 1), (7, 1), (2, 1), (3, 1), (5, 1), (8, 1)], 2: [(1, 1)]}
        and await (await house.admin.execute(ends)).fetchall() == [(1, 8), (2, 1)]
    )


async def test_a_reader_of_one_lane_is_given_nothing_of_the_other(house: House) -> None:
    await write_both_lanes(house)
    await house.publisher().publish_once()
    assert await took_in_one_lane_each(house)
    assert house.gaps_asked == []


async def test_lanes_are_filled_again_from_the_outbox(house: House) -> None:
    await write_both_lanes(house)
    await house.publisher().publish_once()
    await house.redis.xdel(stream_name(SOURCE, 1), "1-0", "3-0")
    await house.redis.xdel(stream_name(SOURCE, 1, Lane.FACTS), "1-0")
    assert await took_in_one_lane_each(house)
    assert house.gaps_asked == [(1, 0), (1, 0)]


async def test_a_lane_that_lost_its_tail_is_completed(house: House) -> None:
    await write_both_lanes(house)
    await house.publisher().publish_once()
    await house.redis.delete(stream_name(SOURCE, 1, Lane.FACTS))
    assert await house.publisher().publish_once() == 8
    assert await house.entries(1) == [1, 3, 4, 5, 6, 7, 8]
    assert await house.entries(1, Lane.FACTS) == [1, 2, 3, 4, 5, 7, 8]
    assert await took_in_one_lane_each(house)
    assert house.gaps_asked == []


async def test_a_lane_that_is_not_told_of_what_it_passes_over_is_noticed(house: House) -> None:
    """Planted: an entry that says what is passed over is left out."""
    await write_both_lanes(house)
    await house.publisher().publish_once()
    house.owner_is_down = True
    await house.redis.xdel(stream_name(SOURCE, 1), "3-0")
    assert not await took_in_one_lane_each(house)


async def test_what_has_no_effect_is_passed_over_and_its_cursor_moves(house: House) -> None:
    tenant = uuid4()
    for granted in (False, True, False, False):
        await house.write([event_of(tenant, 1) if granted else fact_of(tenant, 1)])
    await house.write_some(tenant, 2, 3)
    await house.publisher().publish_once()
    assert await house.projector(names=frozenset({"another.v1"})).catch_up() == 7
    assert await house.effects() == {}
    ends = "SELECT part, position FROM sample.projection_cursor WHERE position > 0 ORDER BY part"
    assert await (await house.admin.execute(ends)).fetchall() == [(1, 4), (2, 3)]
    await house.write_some(tenant, 2, 1)
    await house.publisher().publish_once()
    assert await house.projector(names=frozenset({RoleGranted.name})).catch_up() == 1
    assert await house.effects() == {2: [(4, 1)]}


def test_long_events_are_taken_in_by_several_transactions() -> None:
    def record(position: int, length: int) -> StreamRecord:
        return StreamRecord(1, position, TenantId(TENANT), "x", b"x" * length)

    items = [record(position, 100_000) for position in range(1, 8)]
    assert [len(share) for share in shares_of(items, PROMPT)] == [2, 2, 2, 1]
    assert [one for share in shares_of(items, PROMPT) for one in share] == items
    longer = PROMPT._replace(transaction_bytes=500_000)
    assert [len(share) for share in shares_of(items, longer)] == [5, 2]
    by_twos = PROMPT._replace(transaction=2)
    long: list[StreamItem] = [record(1, 1_000_000), Passage(1, 2, 3), record(4, 1)]
    assert [list(share) for share in shares_of(long, PROMPT)] == [long[:1], long[1:]]
    assert [len(share) for share in shares_of([record(at, 1) for at in range(1, 6)], by_twos)] == [2, 2, 1]
    assert list(shares_of([], by_twos)) == []


async def transactions_of_a_trickle(house: House, pace: Pace) -> int:
    """Return by how many transactions a projector of this pace takes in ten events that come one by one."""
    transactions = set()

    async def counted(tx: Transaction, event: CloudEvent, position: int) -> None:
        row = await tx.fetch_one("SELECT pg_current_xact_id()::text AS id")
        assert row is not None
        transactions.add(row.id)
        await apply_effect(tx, event, position)

    async def took_all_in() -> bool:
        return await house.count("effect") == before + 10

    before = await house.count("effect")
    async with running(house.projector(counted, pace=pace).run()):
        for _ in range(10):
            await published(house, p1=1)
            await asyncio.sleep(0.02)
        await until(took_all_in, house.clock)
    return len(transactions)


async def test_who_has_time_takes_a_trickle_in_by_few_transactions(house: House) -> None:
    gathering = THRIFTY._replace(gather_seconds=1.0)  # the first comes at once, and all others meanwhile
    assert await transactions_of_a_trickle(house, gathering) <= 3
    effects = await house.effects()
    assert once_each(effects, {1: 10})


async def test_who_is_prompt_takes_a_trickle_in_as_it_comes(house: House) -> None:
    """What the test above counts would be seen if nobody gathered."""
    assert await transactions_of_a_trickle(house, PROMPT) > 3
