"""A key that was shredded is in no file of its database: not in the table, in statistics, or in WAL."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from infra.engines import daemon
from infra.engines.postgres import PostgresServer, PostgresTuning
from infra.engines.valkey import ValkeyServer
from libs.db.migrations import login_roles_of, migrate
from libs.db.pool import CrossingDatabase
from libs.kernel.secrets import Secret
from services.keys.domain.errors import WipingPutOff
from services.keys.store.wiping import PostgresWiping
from services.keys.usecases.shred import WipeShredded
from tests.integration.keys.service import POLICY, Service, named, running, settings_of
from tests.support.engines import Engines, ServiceDatabase, _socket_folder

EPOCHS = [f"2024-{month:02}" for month in range(1, 13)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[PostgresServer]:
    """Give a cluster such as the key service's own."""
    with _socket_folder() as sockets:
        tuning = PostgresTuning(shared_buffers=16, io_workers=1, forgets_wal=True)
        server = PostgresServer(
            tmp_path / "postgres", sockets / "s", tmp_path / "postgres.pid", tuning=tuning
        )
        daemon.start(server)
        yield server
        server.stop()


@pytest.fixture
def database(cluster: PostgresServer) -> ServiceDatabase:
    passwords = {role: Secret(f"password-of-{role}") for role in login_roles_of("keys")}
    migrate("keys", cluster.admin_dsn(), passwords)
    dsns = {role: cluster.dsn(role, password, "postgres") for role, password in passwords.items()}
    return ServiceDatabase("postgres", cluster.admin_dsn(), dsns)


@pytest.fixture
async def keys(
    engines: Engines, database: ServiceDatabase, fresh_valkey: ValkeyServer
) -> AsyncIterator[Service]:
    with engines.alone("vault-policy"):
        role = engines.openbao.provision(policy=POLICY)
    async with running(settings_of(database, fresh_valkey, engines.openbao, role), database) as service:
        yield service


@pytest.fixture
async def wiping(keys: Service) -> AsyncIterator[PostgresWiping]:
    pool = CrossingDatabase(keys.database.dsn("keys_shredder"), "keys-shredder", by_key=True)
    await pool.open()
    yield PostgresWiping(pool, keys.clock)
    await pool.close()


def settle(keys: Service) -> None:
    """Let everything reach its files, and what is dead or no longer needed go."""
    keys.rows("VACUUM (ANALYZE) keys.dek")
    for statement in ("SELECT pg_switch_wal()", "CHECKPOINT") * 2:
        keys.rows(statement)


def files_with(cluster: PostgresServer, text: str) -> set[str]:
    """Return which folders of a cluster have a file in which `text` lies."""
    found: set[str] = set()
    root = cluster._cluster
    for path in root.rglob("*"):
        if path.is_file() and text.encode() in path.read_bytes():
            found.add(path.relative_to(root).parts[0])
    return found


async def shredded_one(keys: Service) -> tuple[str, str]:
    """Make many keys, shred one of them, and return its wrapped text and that of another."""
    tenant, room = uuid4(), uuid4()
    made = [await keys.obtain_one(tenant, room, epoch) for epoch in EPOCHS[:3]]
    gone, kept = made[1].dek, made[2].dek
    assert gone is not None
    texts = {dek: str(text) for dek, text in keys.rows("SELECT dek, wrapped FROM keys.dek")}
    await keys.retire(tenant, gone)
    await keys.shred(tenant, gone, order=uuid4())
    return texts[gone], texts[kept]


async def test_the_wrapped_text_is_in_no_file_once_it_was_wiped(
    keys: Service, cluster: PostgresServer, wiping: PostgresWiping
) -> None:
    gone, kept = await shredded_one(keys)
    keys.rows("CHECKPOINT")
    assert files_with(cluster, gone) == {"base", "pg_wal"}
    assert await wiping.is_due()
    await WipeShredded(wiping)()
    assert not await wiping.is_due()
    settle(keys)
    assert files_with(cluster, gone) == set()
    assert "base" in files_with(cluster, kept)


@pytest.mark.planted
async def test_vacuum_alone_is_seen_to_leave_the_text_in_its_page(
    keys: Service, cluster: PostgresServer
) -> None:
    """The rows that live move together, and what lay below them stays as it was."""
    tenant, room = uuid4(), uuid4()
    made = [(await keys.obtain_one(tenant, room, epoch)).dek for epoch in EPOCHS]
    texts = [str(text) for (text,) in keys.rows("SELECT wrapped FROM keys.dek")]
    await keys.shred(tenant, *(dek for dek in made if dek is not None), order=uuid4())
    settle(keys)
    assert any("base" in files_with(cluster, text) for text in texts)


async def test_what_is_not_shredded_opens_after_a_wiping_and_rights_and_rules_stay(
    keys: Service, wiping: PostgresWiping
) -> None:
    tenant, room = uuid4(), uuid4()
    first, second = [await keys.obtain_one(tenant, room, epoch) for epoch in EPOCHS[:2]]
    assert first.dek is not None
    assert second.dek is not None
    await keys.retire(tenant, first.dek)
    await keys.shred(tenant, first.dek, order=uuid4())
    catalogue = (
        "SELECT relacl::text, relrowsecurity, relforcerowsecurity,"
        " (SELECT array_agg(conname ORDER BY conname) FROM pg_constraint WHERE conrelid = c.oid),"
        " (SELECT array_agg(tgname ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid),"
        " (SELECT array_agg(attacl::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid),"
        " (SELECT array_agg(attstattarget ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid)"
        " FROM pg_class c WHERE oid = 'keys.dek'::regclass"
    )
    before = keys.rows(catalogue)
    await WipeShredded(wiping)()
    assert keys.rows(catalogue) == before
    answers = await keys.unwrap(named(tenant, first), named(tenant, second))
    assert [(answer.key, answer.problem) for answer in answers] == [
        (None, "not-found"),
        (second.key, None),
    ]


async def test_a_wiping_waits_for_no_reader_for_long(keys: Service, wiping: PostgresWiping) -> None:
    await shredded_one(keys)
    with psycopg.connect(keys.database.admin_dsn.reveal()) as reading:
        reading.execute("SELECT count(*) FROM keys.dek")
        with pytest.raises(WipingPutOff):
            await WipeShredded(wiping)()
    assert await wiping.is_due()
    await WipeShredded(wiping)()
    assert not await wiping.is_due()


async def test_only_its_own_role_removes_a_wrapped_key_and_it_reads_none(keys: Service) -> None:
    await keys.obtain_one(uuid4(), uuid4())
    for role in ("keys_app", "keys_publisher", "keys_projector"):
        with (
            psycopg.connect(keys.database.dsn(role).reveal()) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("UPDATE keys.dek SET wrapped = NULL, shredded_at = now()")
    with psycopg.connect(keys.database.dsn("keys_shredder").reveal()) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT wrapped FROM keys.dek")
        connection.rollback()
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("UPDATE keys.dek SET wrapped = NULL")
        connection.rollback()
        connection.execute("UPDATE keys.dek SET wrapped = NULL, shredded_at = now()")
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="does not come back"):
            connection.execute("UPDATE keys.dek SET wrapped = 'vault:v1:again', shredded_at = NULL")
