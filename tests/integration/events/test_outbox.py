"""Positions are dense, and their order is the order in which commits became visible."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from uuid import uuid4

import psycopg
import pytest

from libs.db.pool import CrossingDatabase, TenantDatabase, Transaction
from libs.events.errors import CursorAhead
from libs.events.internal import read_outbox, record_cursors
from libs.events.outbox import OutboxRecord, append
from libs.kernel.ids import TenantId
from tests.integration.db.sample import SampleDatabase
from tests.integration.events.kit import House, event_of, somebody_waits, until

TENANT = uuid4()
Append = Callable[[Transaction, list[OutboxRecord]], Awaitable[None]]


async def by_head_row(tx: Transaction, records: list[OutboxRecord]) -> None:
    await append(tx, "sample", records)


async def by_sequence(tx: Transaction, records: list[OutboxRecord]) -> None:
    """Append as most outboxes do: the planted defect."""
    for record in records:
        await tx.execute(
            "INSERT INTO sample.outbox (part, position, day, tenant, name, body)"
            " VALUES (%s, nextval('sample.planted'), current_date, %s, %s, %s)",
            (record.part, record.tenant, record.name, record.body),
        )


def hole_in(positions: list[int]) -> int | None:
    """Return the first position that is missing below one that is there: the checker of both."""
    return next((at for at, position in enumerate(positions, start=1) if position != at), None)


async def positions_of(house: House, part: int) -> list[int]:
    cursor = await house.admin.execute(
        "SELECT position FROM sample.outbox WHERE part = %s ORDER BY position", (part,)
    )
    return [position for (position,) in await cursor.fetchall()]


async def worst_hole(house: House, append_by: Append) -> int | None:
    """Let two writers overlap so that the later one commits first, and return the hole a reader saw."""
    first_has_written, second_has_tried = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with house.writer.begin() as tx:
            await append_by(tx, [event_of(TENANT, 0)])
            first_has_written.set()
            await second_has_tried.wait()

    async def second() -> None:
        await first_has_written.wait()
        async with house.writer.begin() as tx:
            await append_by(tx, [event_of(TENANT, 0)])

    async def second_is_done_or_waits() -> bool:
        return writing.done() or await somebody_waits(house)

    async def look() -> int | None:
        await first_has_written.wait()
        await until(second_is_done_or_waits, house.clock)
        seen = hole_in(await positions_of(house, 0))
        second_has_tried.set()
        return seen

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(first())
        writing = tasks.create_task(second())
        looking = tasks.create_task(look())
    return looking.result() or hole_in(await positions_of(house, 0))


@pytest.fixture
async def planted(house: House) -> None:
    """Plant the sequence of the defect."""
    await house.admin.execute("CREATE SEQUENCE sample.planted")
    await house.admin.execute("GRANT USAGE ON SEQUENCE sample.planted TO sample_writer")


async def test_a_reader_never_sees_a_position_before_the_ones_below_it(house: House) -> None:
    assert await worst_hole(house, by_head_row) is None


async def test_a_sequence_instead_of_the_head_row_is_caught(house: House, planted: None) -> None:
    assert await worst_hole(house, by_sequence) == 1


async def write_and_sometimes_fail(house: House, append_by: Append, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        records = [event_of(TENANT, chance.randrange(4)) for _ in range(chance.randrange(1, 6))]
        try:
            async with house.writer.begin() as tx:
                await append_by(tx, records)
                if chance.random() < 0.2:
                    raise LookupError  # noqa: TRY301 - the writer fails, the test goes on
        except LookupError:
            continue


async def holes_under_load(house: House, append_by: Append) -> set[int | None]:
    """Return the holes that readers saw while eight writers wrote, failed and rolled back."""
    writers = [asyncio.create_task(write_and_sometimes_fail(house, append_by, seed)) for seed in range(8)]
    seen: set[int | None] = set()
    while not all(writer.done() for writer in writers):
        seen |= {hole_in(await positions_of(house, part)) for part in range(4)}
    await asyncio.gather(*writers)
    return seen | {hole_in(await positions_of(house, part)) for part in range(4)}


async def test_positions_stay_dense_whatever_eight_writers_do(house: House) -> None:
    assert await holes_under_load(house, by_head_row) == {None}
    heads = await (await house.admin.execute("SELECT part, position FROM sample.outbox_head")).fetchall()
    assert {part: head for part, head in heads if head} == {
        part: len(await positions_of(house, part)) for part in range(4)
    }


async def test_a_sequence_loses_density_under_the_same_load(house: House, planted: None) -> None:
    assert await holes_under_load(house, by_sequence) != {None}


async def test_writers_of_the_same_partitions_in_different_orders_never_deadlock(house: House) -> None:
    async def write(parts: list[int]) -> None:
        for _ in range(30):
            await house.write([event_of(TENANT, part) for part in parts])

    async with asyncio.timeout(30):
        await asyncio.gather(write([1, 2, 3]), write([3, 2, 1]), write([2, 3, 1]))
    assert [len(await positions_of(house, part)) for part in (1, 2, 3)] == [90, 90, 90]


async def test_a_batch_keeps_its_order_within_each_partition(house: House) -> None:
    records = [event_of(TENANT, part) for part in (5, 3, 5, 5, 3)]
    await house.write(records)
    async with house.publishing.begin() as tx:
        fives = await read_outbox(tx, "sample", 5, 0, 10)
        threes = await read_outbox(tx, "sample", 3, 0, 10)
    assert [record.body for record in fives] == [records[at].body for at in (0, 2, 3)]
    assert [record.body for record in threes] == [records[at].body for at in (1, 4)]
    assert [record.position for record in fives] == [1, 2, 3]


async def test_a_partition_without_a_head_fails_instead_of_losing_its_record(house: House) -> None:
    with pytest.raises(psycopg.errors.NotNullViolation):
        await house.write([event_of(TENANT, 1), event_of(TENANT, 64)])
    assert await positions_of(house, 1) == []


async def test_nothing_to_append_is_no_statement(house: House) -> None:
    await house.write([])


async def test_an_app_role_appends_for_its_own_tenant_alone(sample: SampleDatabase, house: House) -> None:
    tenant = TenantId(TENANT)
    database = TenantDatabase(sample.dsn("sample_app"), "app")
    await database.open()
    async with database.begin(tenant) as tx:
        await append(tx, "sample", [event_of(TENANT, 0)])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.begin(tenant) as tx:
            await append(tx, "sample", [event_of(uuid4(), 0)])
    await database.close()
    assert await positions_of(house, 0) == [1]


async def test_the_writer_can_read_no_event(house: House) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with house.writer.begin() as tx:
            await tx.execute("SELECT body FROM sample.outbox")


async def test_a_cursor_above_the_head_is_refused(house: House) -> None:
    await house.write([event_of(TENANT, 0)])
    await house.report("reader", {0: 1, 1: 0})
    with pytest.raises(CursorAhead) as refused:
        await house.report("reader", {0: 2})
    assert (refused.value.part, refused.value.position, refused.value.head) == (0, 2, 1)


async def test_a_consumer_may_go_back(house: House) -> None:
    await house.write([event_of(TENANT, 0)])
    await house.report("reader", {0: 1})
    await house.report("reader", {0: 0})
    async with house.publishing.begin() as tx:
        row = await tx.fetch_one("SELECT position FROM sample.outbox_consumer")
        await record_cursors(tx, "sample", "reader", {})
    assert row is not None
    assert row.position == 0


async def test_crossing_databases_have_no_tenant(house: House) -> None:
    assert isinstance(house.writer, CrossingDatabase)
    async with house.writer.begin() as tx:
        row = await tx.fetch_one("SELECT NULLIF(current_setting('app.tenant', true), '') AS tenant")
    assert row is not None
    assert row.tenant is None
