"""What the store of readings shows: by class, by tenant, and with its own trace in one transaction."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from libs.contracts.facts import Actor as FactActor
from libs.contracts.facts import AuditFact
from libs.db.pool import TenantDatabase
from libs.kernel.clock import SystemClock
from libs.kernel.ids import PrincipalId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from libs.merkle.hashing import leaf_hash
from libs.merkle.tiles import TileAt
from services.audit.domain.errors import LogDamaged
from services.audit.domain.reading import Criteria, Page, Reading
from services.audit.store.reading import PostgresReadings

OURS, THEIRS = TenantId(UUID(int=1)), TenantId(UUID(int=2))
ADA, BEN = UUID(int=10), UUID(int=11)
START = datetime(2026, 11, 24, 9, tzinfo=UTC)
ROWS = [
    # actor, action, class, entities
    (ADA, "identity.role.granted", "operations", [("principal", "b"), ("principal", "a")]),
    (BEN, "holds.hold.placed", "legal", [("hold", "h")]),
    (ADA, "identity.session.started", "operations", [("session", "s")]),
    (BEN, "identity.session.started", "operations", [("session", "a")]),
]
BOTH = ("operations", "legal")


@pytest.fixture
def database(database_of):
    """Give a database of audit in which our log has `ROWS`, and theirs one entry."""
    made = database_of("audit")
    with psycopg.connect(made.admin_dsn.reveal(), autocommit=True) as admin:
        for index, row in enumerate(ROWS):
            insert(admin, OURS, index, *row)
        insert(admin, THEIRS, 0, ADA, "identity.session.started", "operations", [])
    return made


def leaf(tenant, index):
    return f"{tenant}:{index}".encode()


def fact(tenant, index):
    return UUID(bytes=hashlib.sha256(leaf(tenant, index)).digest()[:16])


def insert(admin, tenant, index, actor, action, shown, entities):
    """Write one entry as its table takes it."""
    admin.execute(
        "INSERT INTO audit.entry (tenant, index, leaf, fact, source, part, position)"
        " VALUES (%s, %s, %s, %s, 'identity', 1, %s)",
        (tenant, index, leaf(tenant, index), fact(tenant, index), index + 1),
    )
    admin.execute(
        "INSERT INTO audit.detail (tenant, index, salt, actor_kind, actor_id, action, outcome, count, at,"
        " approvals, visibility, runs)"
        " VALUES (%s, %s, %s, 'principal', %s, %s, 'done', 1, %s, '{}', %s, '[]')",
        (tenant, index, bytes(16), actor, action, START + timedelta(minutes=index), shown),
    )
    for place, (kind, name) in enumerate(entities):
        admin.execute(
            "INSERT INTO audit.detail_entity (tenant, kind, id, index, place) VALUES (%s, %s, %s, %s, %s)",
            (tenant, kind, name, index, place),
        )


@pytest.fixture
async def readings(database):
    """Give the transactions of reading."""
    pool = TenantDatabase(database.dsn("audit_app"), "audit")
    await pool.open()
    clock = SystemClock()
    yield PostgresReadings(pool, clock, SystemIds(clock, SystemRandomness()))
    await pool.close()


async def indices(
    readings, wanted=None, shown=BOTH, *, tenant=OURS, size=10, beyond=None, limit=10, newest=False
):
    async with readings.begin(tenant) as tx:
        found = await tx.log.search(wanted or Criteria(), shown, Page(size, limit, beyond, newest))
    return [entry.index for entry in found]


async def test_only_entries_of_the_classes_asked_for_are_found(readings):
    assert await indices(readings) == [0, 1, 2, 3]
    assert await indices(readings, shown=("operations",)) == [0, 2, 3]
    assert await indices(readings, shown=("legal",)) == [1]
    assert await indices(readings, shown=()) == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Criteria(actor=ADA), [0, 2]),
        (Criteria(action="identity.session.started"), [2, 3]),
        (Criteria(entity_kind="session"), [2, 3]),
        (Criteria(entity="a"), [0, 3]),
        (Criteria(entity_kind="session", entity="a"), [3]),
        (Criteria(since=START + timedelta(minutes=1), until=START + timedelta(minutes=3)), [1, 2]),
        (Criteria(matter=UUID(int=9)), []),
    ],
)
async def test_entries_are_found_by_actor_action_entity_and_time(readings, wanted, expected):
    assert await indices(readings, wanted) == expected


async def test_a_page_goes_on_behind_the_last_in_both_directions(readings):
    assert await indices(readings, beyond=0, limit=2) == [1, 2]
    assert await indices(readings, beyond=3, limit=2, newest=True) == [2, 1]


async def test_no_entry_beyond_the_size_is_found(readings):
    assert await indices(readings, size=2) == [0, 1]
    async with readings.begin(OURS) as tx:
        assert await tx.log.find_index_naming("session", "a", BOTH, 4) == 3
        assert await tx.log.find_index_naming("session", "a", BOTH, 3) is None
        assert await tx.log.find_index_naming("hold", "h", ("operations",), 4) is None


async def test_entities_come_in_the_order_in_which_they_were_told(readings):
    async with readings.begin(OURS) as tx:
        stored = (await tx.log.details(0, 0, BOTH))[0]
    assert stored.entry.entities == (("principal", "b"), ("principal", "a"))
    assert stored.salt == bytes(16)


async def test_no_detail_and_no_index_is_told_of_a_class_that_is_not_shown(readings):
    async with readings.begin(OURS) as tx:
        assert sorted(await tx.log.details(0, 3, ("operations",))) == [0, 2, 3]
        assert await tx.log.find_index(fact(OURS, 1), ("operations",), 4) is None
        assert await tx.log.find_index(fact(OURS, 1), ("legal",), 2) == 1
        assert await tx.log.find_index(fact(OURS, 1), ("legal",), 1) is None


async def test_a_tenant_sees_nothing_of_another(readings):
    assert await indices(readings, tenant=THEIRS) == [0]
    async with readings.begin(THEIRS) as tx:
        assert await tx.log.find_index(fact(OURS, 0), BOTH, 4) is None
        with pytest.raises(LogDamaged):
            await tx.log.leaves(0, 2)


async def test_a_partial_tile_has_the_hashes_of_its_leaves(readings):
    at = TileAt(0, 0, 3)
    async with readings.begin(OURS) as tx:
        tiles = await tx.log.tiles([at])
    assert tiles[at] == b"".join(leaf_hash(leaf(OURS, index)) for index in range(3))


def reading_of(ids, clock):
    reading = Reading(ids.uuid7(), PrincipalId(ADA), "audit.entries.searched", OURS, "", clock.now())
    told = AuditFact(
        act=reading.reading, action=reading.action, actor=FactActor(kind="principal", id=ADA), at=reading.at
    )
    return reading, told


async def record_and_fail(readings, reading, told):
    """Record a read in a transaction that does not commit."""
    async with readings.begin(OURS) as tx:
        await tx.record_readings([(reading, told)])
        raise RuntimeError


async def test_a_read_and_its_fact_stand_together_or_not_at_all(readings, database):
    clock = SystemClock()
    ids = SystemIds(clock, SystemRandomness())
    reading, told = reading_of(ids, clock)
    async with readings.begin(OURS) as tx:
        await tx.record_readings([(reading, told)])
    with pytest.raises(RuntimeError):
        await record_and_fail(readings, *reading_of(ids, clock))
    with psycopg.connect(database.admin_dsn.reveal()) as admin:
        kept = admin.execute("SELECT act FROM audit.reading").fetchall()
        sent = admin.execute("SELECT body FROM audit.outbox").fetchall()
    assert kept == [(reading.reading,)]
    assert [json.loads(body)["data"]["act"] for (body,) in sent] == [str(reading.reading)]
