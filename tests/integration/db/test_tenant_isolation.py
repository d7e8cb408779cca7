"""Row-level security: a transaction sees its tenant's rows, whatever its statements say."""

from uuid import uuid4

import psycopg
import pytest

from libs.db.introspection import unbound_tables_in
from libs.db.pool import TenantDatabase
from libs.kernel.ids import TenantId
from tests.integration.db.sample import SampleDatabase

OURS, THEIRS = TenantId(uuid4()), TenantId(uuid4())


async def write_note(database: TenantDatabase, tenant: TenantId) -> None:
    async with database.begin(tenant) as tx:
        await tx.execute("INSERT INTO sample.note (tenant, note) VALUES (%s, %s)", (tenant, uuid4()))


async def count_notes(database: TenantDatabase, tenant: TenantId) -> int:
    async with database.begin(tenant) as tx:
        row = await tx.fetch_one("SELECT count(*) AS notes FROM sample.note")
    assert row is not None
    return int(row.notes)


async def test_a_tenant_sees_its_own_rows_alone(notes: TenantDatabase) -> None:
    await write_note(notes, OURS)
    await write_note(notes, THEIRS)
    assert await count_notes(notes, OURS) == 1


async def test_a_row_of_another_tenant_cannot_be_inserted(notes: TenantDatabase) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with notes.begin(OURS) as tx:
            await tx.execute("INSERT INTO sample.note (tenant, note) VALUES (%s, %s)", (THEIRS, uuid4()))


async def test_a_row_cannot_be_given_to_another_tenant(notes: TenantDatabase) -> None:
    await write_note(notes, OURS)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with notes.begin(OURS) as tx:
            await tx.execute("UPDATE sample.note SET tenant = %s", (THEIRS,))


async def test_another_tenants_rows_can_be_neither_changed_nor_removed(notes: TenantDatabase) -> None:
    await write_note(notes, THEIRS)
    async with notes.begin(OURS) as tx:
        assert await tx.execute("UPDATE sample.note SET body = 'x' WHERE tenant = %s", (THEIRS,)) == 0
        assert await tx.execute("DELETE FROM sample.note WHERE tenant = %s", (THEIRS,)) == 0
    assert await count_notes(notes, THEIRS) == 1


@pytest.mark.parametrize("setting", [None, ""])
async def test_without_a_tenant_nothing_is_seen_and_nothing_written(
    sample: SampleDatabase, notes: TenantDatabase, setting: str | None
) -> None:
    await write_note(notes, OURS)
    async with await psycopg.AsyncConnection.connect(sample.dsn("sample_app").reveal()) as bare:
        if setting is not None:
            await bare.execute("SELECT set_config('app.tenant', %s, true)", (setting,))
        found = await (await bare.execute("SELECT count(*) FROM sample.note")).fetchone()
        assert found == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await bare.execute("INSERT INTO sample.note (tenant, note) VALUES (%s, %s)", (OURS, uuid4()))


async def test_a_connection_goes_back_to_its_pool_without_a_tenant(notes: TenantDatabase) -> None:
    async with notes.begin(OURS) as tx:
        first = tx.connection.info.backend_pid
    async with notes._pool.lease() as connection:  # the same connection, as its next user finds it
        assert connection.info.backend_pid == first
        row = await (await connection.execute("SELECT current_setting('app.tenant', true)")).fetchone()
    assert row is not None
    assert row[0] == ""


async def test_a_connection_of_a_failed_transaction_goes_back_without_a_tenant(notes: TenantDatabase) -> None:
    await write_note(notes, OURS)
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with notes.begin(OURS) as tx:
            await tx.execute("SELECT 1 / 0")
    assert await count_notes(notes, THEIRS) == 0


async def test_a_tenant_that_is_no_uuid_never_reaches_a_statement(notes: TenantDatabase) -> None:
    with pytest.raises(TypeError):
        notes.begin("'; DROP TABLE sample.note; --")  # type: ignore[arg-type]


async def test_not_even_the_owner_of_a_table_passes_its_policies(
    admin: psycopg.Connection, notes: TenantDatabase
) -> None:
    await write_note(notes, OURS)
    admin.execute("SET ROLE sample_owner")
    assert admin.execute("SELECT count(*) FROM sample.note").fetchone() == (0,)


async def test_the_app_role_cannot_read_the_outbox_or_another_days_partition(notes: TenantDatabase) -> None:
    for table in (
        "sample.outbox",
        "sample.outbox_rest",
        "sample.outbox_consumer",
        "sample.projection_cursor",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with notes.begin(OURS) as tx:
                await tx.execute(f"SELECT FROM {table}")


async def test_every_table_with_a_tenant_is_bound(admin: psycopg.Connection) -> None:
    assert unbound_tables_in(admin, "sample") == []


@pytest.mark.parametrize(
    "defect",
    [
        "ALTER TABLE sample.note DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE sample.note NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY note_tenant ON sample.note",
        "ALTER POLICY note_tenant ON sample.note USING (true)",
        "ALTER POLICY note_tenant ON sample.note WITH CHECK (true)",
    ],
)
async def test_a_table_whose_binding_is_weakened_is_found(admin: psycopg.Connection, defect: str) -> None:
    admin.execute(defect)
    assert unbound_tables_in(admin, "sample") == ["sample.note"]


async def test_a_partition_that_somebody_may_read_past_its_parent_is_found(admin: psycopg.Connection) -> None:
    admin.execute("GRANT SELECT ON sample.outbox_rest TO sample_app")
    assert unbound_tables_in(admin, "sample") == ["sample.outbox_rest"]
