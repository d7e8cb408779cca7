"""Facts become entries: densely, once, and insert only."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
import pytest

from libs.contracts.events import encode
from libs.contracts.facts import Actor, Entity, IdentityFact
from libs.db.pool import CrossingDatabase
from libs.events.records import StreamRecord
from libs.kernel.ids import TenantId
from libs.kernel.randomness import SystemRandomness
from libs.merkle.hashing import leaf_hash
from services.audit.domain.errors import ForeignFact
from services.audit.edge.stream import fact_door, fact_in
from services.audit.store.journal import PostgresJournal
from tests.support.engines import ServiceDatabase

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
INSERT_ONLY = ("entry", "detail", "detail_entity", "tile", "checkpoint")
ONE, TWO = TenantId(uuid4()), TenantId(uuid4())
APPLY = fact_door("identity", PostgresJournal, SystemRandomness(), lambda _count: None)


def record_of(tenant: TenantId, position: int, *, told_as: UUID | None = None) -> StreamRecord:
    fact = IdentityFact(
        act=uuid4(),
        action="identity.role.granted",
        actor=Actor(kind="principal", id=uuid4()),
        at=NOW,
        entities=(Entity(kind="principal", id="b"), Entity(kind="role", id="a")) * 2,
        approvals=(uuid4(), uuid4()),
    )
    body = encode(fact, id=uuid4(), time=NOW, tenant=told_as or tenant)
    return StreamRecord(3, position, tenant, IdentityFact.name, body)


@pytest.fixture
def database(database_of: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return database_of("audit")


@pytest.fixture
async def sequencer(database: ServiceDatabase) -> AsyncIterator[CrossingDatabase]:
    pool = CrossingDatabase(database.dsn("audit_sequencer"), "test", by_key=True)
    await pool.open()
    yield pool
    await pool.close()


async def sequenced(sequencer: CrossingDatabase, records: list[StreamRecord]) -> None:
    async with sequencer.begin() as tx:
        await APPLY(tx, records)


def rows(database: ServiceDatabase, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database.admin_dsn.reveal(), autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


async def test_each_log_has_its_own_dense_indices_in_the_order_of_arrival(
    database: ServiceDatabase, sequencer: CrossingDatabase
) -> None:
    order = [ONE, TWO, ONE, ONE, TWO, ONE]
    records = [record_of(tenant, place) for place, tenant in enumerate(order, start=1)]
    await sequenced(sequencer, records[:3])
    await sequenced(sequencer, records[3:])
    found = rows(database, "SELECT tenant, index, position FROM audit.entry ORDER BY tenant, index")
    wanted = {tenant: [p for p, owner in enumerate(order, start=1) if owner == tenant] for tenant in order}
    assert found == [
        (tenant, index, position)
        for tenant in sorted(wanted)
        for index, position in enumerate(wanted[tenant])
    ]
    for leaf, stored in rows(database, "SELECT leaf, leaf_hash FROM audit.entry"):
        assert isinstance(leaf, bytes)
        assert stored == leaf_hash(leaf)
    assert rows(database, "SELECT DISTINCT kind, place FROM audit.detail_entity ORDER BY 2") == [
        ("principal", 0),
        ("role", 1),
    ]


async def test_the_same_record_has_no_second_entry(
    database: ServiceDatabase, sequencer: CrossingDatabase
) -> None:
    records = [record_of(ONE, 1)]
    await sequenced(sequencer, records)
    with pytest.raises(psycopg.errors.UniqueViolation):
        await sequenced(sequencer, records)
    assert rows(database, "SELECT sequenced FROM audit.log") == [(1,)]


async def test_what_is_cut_off_before_its_commit_leaves_nothing(
    database: ServiceDatabase, sequencer: CrossingDatabase
) -> None:
    async def cut_off() -> None:
        async with sequencer.begin() as tx:
            await APPLY(tx, [record_of(ONE, 1)])
            await asyncio.sleep(60)

    task = asyncio.create_task(cut_off())
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rows(database, "SELECT count(*) FROM audit.entry") == [(0,)]
    await sequenced(sequencer, [record_of(ONE, 1)])
    assert rows(database, "SELECT index FROM audit.entry") == [(0,)]


def test_a_fact_of_another_tenant_than_its_records_is_refused() -> None:
    with pytest.raises(ForeignFact):
        fact_in(record_of(ONE, 1, told_as=TWO), "identity")


@pytest.mark.parametrize("table", INSERT_ONLY)
@pytest.mark.parametrize("change", ["UPDATE {} SET tenant = tenant", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_log_refuses_changes_by_right_and_by_trigger(
    database: ServiceDatabase, table: str, change: str
) -> None:
    statement = change.format(f"audit.{table}").encode()
    for role in ("audit_app", "audit_sequencer", "audit_publisher"):
        with psycopg.connect(database.dsn(role).reveal(), autocommit=True) as connection:
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
                connection.execute(statement)
            assert "permission denied" in str(refused.value)
    with psycopg.connect(database.admin_dsn.reveal(), autocommit=True) as superuser:
        for setting in ("RESET ROLE", "SET ROLE audit_owner"):
            superuser.execute(setting.encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
                superuser.execute(statement)
            assert "only added to" in str(refused.value)
