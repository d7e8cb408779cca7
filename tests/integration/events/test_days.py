"""Outbox days are made ahead, and dropped only when every consumer has passed them."""

from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from tests.integration.events.kit import CONSUMER, NOW, House, event_of

TENANT = uuid4()
LONG_AGO = NOW.date() - timedelta(days=30)


async def days_of(house: House) -> list[str]:
    cursor = await house.admin.execute(
        "SELECT right(c.relname, 8) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'sample.outbox'::regclass AND c.relname ~ '[0-9]{8}$' ORDER BY 1"
    )
    return [day for (day,) in await cursor.fetchall()]


async def make_old_day(house: House, events: int) -> str:
    """Make a day long ago and put `events` into it."""
    await house.admin.execute("SELECT sample.make_outbox_days(%s, 1)", (LONG_AGO,))
    await house.write_some(TENANT, 1, events)
    await house.admin.execute("UPDATE sample.outbox SET day = %s WHERE part = 1", (LONG_AGO,))
    return LONG_AGO.strftime("%Y%m%d")


async def test_the_next_days_are_there_before_they_come(house: House) -> None:
    house.clock.advance(40 * 86400)
    await house.publisher().keep_days()
    expected = [(house.clock.now().date() + timedelta(days=ahead)).strftime("%Y%m%d") for ahead in range(4)]
    assert set(expected) <= set(await days_of(house))
    await house.publisher().keep_days()


async def test_a_day_that_every_consumer_has_passed_is_dropped(house: House) -> None:
    old = await make_old_day(house, 3)
    await house.report(CONSUMER, {1: 3})
    await house.publisher().keep_days()
    assert old not in await days_of(house)


async def test_a_day_with_one_unread_event_is_kept(house: House) -> None:
    old = await make_old_day(house, 3)
    await house.report(CONSUMER, {1: 2})
    await house.publisher().keep_days()
    assert old in await days_of(house)
    assert await house.count("outbox") == 3


async def test_a_day_is_kept_for_a_consumer_that_never_reported(house: House) -> None:
    old = await make_old_day(house, 3)
    await house.report(CONSUMER, {1: 3})
    await house.publisher(consumers=(CONSUMER, "not yet there")).keep_days()
    assert old in await days_of(house)


async def test_a_day_is_kept_for_a_consumer_that_is_not_expected_but_reports(house: House) -> None:
    old = await make_old_day(house, 3)
    await house.report("somebody", {1: 1})
    await house.publisher(consumers=()).keep_days()
    assert old in await days_of(house)


async def test_a_day_that_nobody_reads_is_dropped(house: House) -> None:
    old = await make_old_day(house, 3)
    await house.publisher(consumers=()).keep_days()
    assert old not in await days_of(house)


async def test_events_without_a_day_of_their_own_are_kept_until_they_are_read(house: House) -> None:
    await house.write_some(TENANT, 1, 3)
    await house.admin.execute("UPDATE sample.outbox SET day = %s WHERE part = 1", (LONG_AGO,))
    await house.publisher().keep_days()
    assert await house.count("outbox_rest") == 3
    await house.report(CONSUMER, {1: 3})
    await house.publisher().keep_days()
    assert await house.count("outbox_rest") == 0


async def test_a_day_whose_events_came_early_gets_no_partition_and_breaks_nothing(house: House) -> None:
    await house.write_some(TENANT, 1, 1)
    house.clock.advance(40 * 86400)
    await house.admin.execute("UPDATE sample.outbox SET day = %s", (house.clock.now().date(),))
    await house.publisher().keep_days()
    assert house.clock.now().strftime("%Y%m%d") not in await days_of(house)


async def test_a_reader_in_the_way_is_waited_for_another_time(house: House) -> None:
    old = await make_old_day(house, 1)
    await house.report(CONSUMER, {1: 1})
    async with house.publishing.begin() as tx:
        await tx.fetch_all("SELECT position FROM sample.outbox")
        await house.publisher().keep_days()
        assert old in await days_of(house)
    await house.publisher().keep_days()
    assert old not in await days_of(house)


async def test_the_publisher_can_drop_no_day_by_itself(house: House) -> None:
    old = await make_old_day(house, 1)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with house.publishing.begin() as tx:
            await tx.execute(f"DROP TABLE sample.outbox_{old}")


async def test_nobody_else_may_make_or_drop_days(house: House) -> None:
    for statement in (
        "SELECT sample.make_outbox_days(now()::date, 1)",
        "SELECT sample.drop_outbox_days(now()::date, '{}')",
    ):
        for database in (house.writer, house.consuming):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with database.begin() as tx:
                    await tx.execute(statement)


async def test_an_event_written_today_lies_in_todays_partition(house: House) -> None:
    await house.write([event_of(TENANT, 1)])
    assert await house.count("outbox_rest") == 0
