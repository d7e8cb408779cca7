"""Pools and transactions: what is committed, what is not, and what an outage looks like."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest

from infra.engines import daemon
from infra.engines.postgres import PostgresServer
from libs.db.errors import DatabaseUnavailable, RoleTooPowerful, TransactionAborted
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.kernel.ids import TenantId
from libs.kernel.secrets import Secret
from tests.integration.db.sample import SampleDatabase

OURS = TenantId(uuid4())
INSERT = "INSERT INTO sample.note (tenant, note) VALUES (%s, %s)"


@pytest.fixture
async def crossing(sample: SampleDatabase) -> AsyncIterator[CrossingDatabase]:
    database = CrossingDatabase(sample.dsn("sample_publisher"), "crossing", max_size=2)
    await database.open()
    yield database
    await database.close()


def note_count(admin: psycopg.Connection) -> int:
    row = admin.execute("SELECT count(*) FROM sample.note").fetchone()
    assert row is not None
    return int(row[0])


async def test_a_transaction_that_raises_leaves_nothing(
    admin: psycopg.Connection, notes: TenantDatabase
) -> None:
    with pytest.raises(LookupError):  # noqa: PT012 - the transaction's end raises
        async with notes.begin(OURS) as tx:
            await tx.execute(INSERT, (OURS, uuid4()))
            raise LookupError
    assert note_count(admin) == 0


async def test_a_cancelled_transaction_leaves_nothing_and_its_connection_works_on(
    admin: psycopg.Connection, notes: TenantDatabase
) -> None:
    async def write_and_wait() -> None:
        async with notes.begin(OURS) as tx:
            await tx.execute(INSERT, (OURS, uuid4()))
            await tx.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(write_and_wait())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with notes.begin(OURS) as tx:
        await tx.execute(INSERT, (OURS, uuid4()))
    assert note_count(admin) == 1


async def test_a_swallowed_error_of_a_statement_is_not_taken_for_a_commit(notes: TenantDatabase) -> None:
    with pytest.raises(TransactionAborted):  # noqa: PT012 - the transaction's end raises
        async with notes.begin(OURS) as tx:
            with contextlib.suppress(psycopg.errors.DivisionByZero):
                await tx.execute("SELECT 1 / 0")


async def test_rows_have_names_and_binary_values(notes: TenantDatabase) -> None:
    async with notes.begin(OURS) as tx:
        row = await tx.fetch_one(
            "SELECT %s::uuid AS tenant, %s::bytea AS body, 7 AS seq", (OURS, b"\x00\xff")
        )
        assert await tx.fetch_one("SELECT 1 WHERE false") is None
    assert row is not None
    assert (row.tenant, row.body, row.seq) == (OURS, b"\x00\xff", 7)


async def test_a_pipeline_sends_statements_together_and_raises_the_first_error(
    admin: psycopg.Connection, notes: TenantDatabase
) -> None:
    async with notes.begin(OURS) as tx, tx.pipeline():
        for _ in range(3):
            await tx.execute(INSERT, (OURS, uuid4()))
    assert note_count(admin) == 3
    doubled = uuid4()
    with pytest.raises(psycopg.errors.UniqueViolation):  # noqa: PT012 - the transaction's end raises
        async with notes.begin(OURS) as tx, tx.pipeline():
            for _ in range(3):
                await tx.execute(INSERT, (OURS, doubled))
    assert note_count(admin) == 3


async def test_a_lost_connection_is_said_and_the_next_transaction_has_another(
    admin: psycopg.Connection, notes: TenantDatabase
) -> None:
    with pytest.raises(DatabaseUnavailable) as lost:  # noqa: PT012 - the transaction's end raises
        async with notes.begin(OURS) as tx:
            await tx.execute(INSERT, (OURS, uuid4()))
            admin.execute("SELECT pg_terminate_backend(%s)", (tx.connection.info.backend_pid,))
            await tx.execute("SELECT 1")
    assert not lost.value.outcome_unknown
    async with notes.begin(OURS) as tx:
        await tx.execute(INSERT, (OURS, uuid4()))
    assert note_count(admin) == 1


async def test_a_connection_lost_at_commit_says_that_the_outcome_is_unknown(
    admin: psycopg.Connection, notes: TenantDatabase
) -> None:
    with pytest.raises(DatabaseUnavailable) as lost:  # noqa: PT012 - the transaction's end raises
        async with notes.begin(OURS) as tx:
            await tx.execute(INSERT, (OURS, uuid4()))
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (tx.connection.info.backend_pid,))
    assert lost.value.outcome_unknown


async def test_connections_that_died_while_idle_are_shown_to_nobody(
    admin: psycopg.Connection, crossing: CrossingDatabase
) -> None:
    async with crossing.begin() as one, crossing.begin() as two:
        pids = [tx.connection.info.backend_pid for tx in (one, two)]
    admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s::int[]) AS pid", (pids,))
    async with crossing.begin() as tx:
        assert await tx.fetch_one("SELECT 1 AS one") is not None


async def test_connections_that_died_while_idle_are_lent_to_nobody(
    admin: psycopg.Connection, crossing: CrossingDatabase
) -> None:
    async with crossing.lease() as one, crossing.lease() as two:
        pids = [connection.info.backend_pid for connection in (one, two)]
    admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s::int[]) AS pid", (pids,))
    async with crossing.lease() as connection, connection.pipeline():
        await connection.execute("SELECT 1")
        assert connection.info.backend_pid not in pids


@pytest.mark.parametrize("way", ["begin", "lease"])
async def test_a_connection_outlives_everybody_who_is_cancelled_with_it(
    crossing: CrossingDatabase, way: str
) -> None:
    async def work() -> None:
        if way == "begin":
            async with crossing.begin() as tx:
                await tx.fetch_one("SELECT 1 AS one")
        else:
            async with crossing.lease() as connection, connection.pipeline():
                await connection.execute("BEGIN")
                await connection.execute("SELECT 1")
                await connection.execute("COMMIT")

    chance = random.Random(3)

    async def cut_short() -> None:
        working = asyncio.create_task(work())
        await asyncio.sleep(chance.random() * 0.01)
        while not working.done():  # the driver swallows a cancellation now and then
            working.cancel()
            await asyncio.wait({working}, timeout=1)

    for _ in range(60):
        await asyncio.gather(*(cut_short() for _ in range(30)))
    async with asyncio.timeout(5):
        async with crossing.begin(), crossing.begin():  # both of its two connections are there
            pass


async def test_a_leased_connection_commits_by_itself_and_loses_what_was_not_finished(
    admin: psycopg.Connection, crossing: CrossingDatabase
) -> None:
    insert = "INSERT INTO sample.outbox_consumer (consumer, part, position) VALUES (%s, 0, 1)"
    with pytest.raises(LookupError):  # noqa: PT012 - the transaction's end raises
        async with crossing.lease() as connection:
            await connection.execute(insert, ("kept",))
            await connection.execute("BEGIN")
            await connection.execute(insert, ("lost",))
            raise LookupError
    assert admin.execute("SELECT consumer FROM sample.outbox_consumer").fetchall() == [("kept",)]


async def test_a_role_that_no_policy_binds_is_refused(sample: SampleDatabase) -> None:
    with pytest.raises(RoleTooPowerful):
        await TenantDatabase(sample.admin, "powerful").open()


async def test_a_server_that_is_away_is_said_at_opening(tmp_path_factory: pytest.TempPathFactory) -> None:
    nowhere = Secret(f"host={tmp_path_factory.mktemp('none')} user=nobody dbname=none")
    with pytest.raises(DatabaseUnavailable):
        await CrossingDatabase(nowhere, "nowhere", wait_seconds=0.2).open()


async def test_a_pool_outlives_a_killed_server(fresh_postgres: PostgresServer) -> None:
    database = CrossingDatabase(fresh_postgres.admin_dsn("postgres"), "outlives", max_size=2)
    await database.open()
    try:
        assert fresh_postgres.pid is not None
        os.kill(fresh_postgres.pid, signal.SIGKILL)
        with pytest.raises(DatabaseUnavailable):
            async with database.begin() as tx:
                await tx.execute("SELECT pg_sleep(1)")
        await asyncio.to_thread(fresh_postgres.stop)
        await asyncio.to_thread(daemon.start, fresh_postgres)
        async with database.begin() as tx:
            assert await tx.fetch_one("SELECT 1 AS one") is not None
    finally:
        await database.close()
