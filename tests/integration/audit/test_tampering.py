"""Whatever a superuser changes behind the log's back, verifying names it: each column, row and table."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from libs.evidence.errors import EvidenceRefused
from libs.kernel.ids import TenantId
from services.audit.store.log_source import DatabaseLog, open_log
from services.audit.usecases.verify import Verified, verify_stored
from tests.integration.audit.logs import TRUST, act, logs_in
from tests.support.engines import Engines, ServiceDatabase

ONE, TWO = TenantId(UUID(int=1)), TenantId(UUID(int=2))
FIRST, SIZE, WAITING = 300, 600, 5
TOUCHED = (17, 400, SIZE + 2)
"""An entry under a full tile, one under a partial tile, one that no tree has yet."""


@dataclass(frozen=True)
class Harm:
    """What a superuser does, and what is named: an index, or words."""

    statement: str
    index: int | None
    words: str = ""


def changed(table: str, column: str, value: str, where: str = "index = {index}") -> str:
    return f"UPDATE audit.{table} SET \"{column}\" = {value} WHERE tenant = '{ONE}' AND {where}"


OTHER = f"'{TWO}'"
RUNS = f"""'[{{"conversation": "{TWO}", "first": "1", "last": "2"}}]'"""
COLUMNS: dict[tuple[str, str], str] = {
    ("entry", "tenant"): OTHER,
    ("entry", "index"): "100000",
    ("entry", "leaf"): "set_byte(leaf, 40, get_byte(leaf, 40) # 1)",
    ("entry", "leaf_hash"): "set_byte(leaf_hash, 4, get_byte(leaf_hash, 4) # 1)",
    ("entry", "fact"): "gen_random_uuid()",
    ("entry", "source"): "'messaging'",
    ("entry", "part"): "part + 1",
    ("entry", "position"): "position + 100000",
    ("detail", "tenant"): OTHER,
    ("detail", "index"): "100000",
    ("detail", "salt"): "set_byte(salt, 0, get_byte(salt, 0) # 1)",
    ("detail", "actor_kind"): "'system'",
    ("detail", "actor_id"): "gen_random_uuid()",
    ("detail", "actor_name"): "'somebody'",
    ("detail", "action"): "'identity.role.revoked'",
    ("detail", "outcome"): "'refused'",
    ("detail", "count"): "count + 1",
    ("detail", "at"): "at + interval '1 microsecond'",
    ("detail", "matter"): "gen_random_uuid()",
    ("detail", "approvals"): "'{}'",
    ("detail", "visibility"): "'legal'",
    ("detail", "runs"): RUNS,
    ("detail_entity", "tenant"): OTHER,
    ("detail_entity", "kind"): "'group'",
    ("detail_entity", "id"): "'another'",
    ("detail_entity", "index"): "100000",
    ("detail_entity", "place"): "place + 2",
}
"""What each column of an entry's rows is changed to."""
NEWEST, OLDER, TILE = f"size = {SIZE}", f"size = {FIRST}", "level = 0 AND number = 1"
TREE: dict[tuple[str, str], Harm] = {
    ("tile", "tenant"): Harm(changed("tile", "tenant", OTHER, TILE), 256),
    ("tile", "level"): Harm(changed("tile", "level", "1", TILE), 256),
    ("tile", "number"): Harm(changed("tile", "number", "7", TILE), 256),
    ("tile", "hashes"): Harm(
        changed("tile", "hashes", "set_byte(hashes, 100, get_byte(hashes, 100) # 1)", TILE), 259
    ),
    ("checkpoint", "tenant"): Harm(changed("checkpoint", "tenant", OTHER, NEWEST), FIRST),
    ("checkpoint", "size"): Harm(
        changed("checkpoint", "size", "size - 1", NEWEST), None, "checkpoint of size 599"
    ),
    ("checkpoint", "root"): Harm(
        changed("checkpoint", "root", "sha256(root)", OLDER), None, "checkpoint of size 300"
    ),
    ("checkpoint", "note"): Harm(
        changed("checkpoint", "note", "replace(note, '— ', '— A')", OLDER), None, "checkpoint"
    ),
    ("log", "tenant"): Harm(changed("log", "tenant", OTHER, "true"), 0),
    ("log", "sequenced"): Harm(changed("log", "sequenced", "sequenced - 1", "true"), SIZE + WAITING - 1),
    ("tree", "tenant"): Harm(changed("tree", "tenant", OTHER, "true"), 0),
    ("tree", "integrated"): Harm(changed("tree", "integrated", "integrated - 1", "true"), SIZE - 1),
}
"""What is done to each column of the tree's rows."""
OTHERS = [
    Harm("DELETE FROM audit.entry WHERE index = 17", 17, "missing"),
    Harm("DELETE FROM audit.entry WHERE index = 599", 599, "missing"),
    Harm("DELETE FROM audit.entry WHERE index = 604", 604, "missing"),
    Harm("DELETE FROM audit.detail WHERE index = 17", 17, "no detail"),
    Harm("DELETE FROM audit.detail_entity WHERE index = 17 AND place = 1", 17),
    Harm("DELETE FROM audit.tile WHERE number = 0", 0, "missing"),
    Harm("DELETE FROM audit.checkpoint WHERE size = 600", FIRST),
    Harm("DELETE FROM audit.checkpoint", 0),
    Harm("DELETE FROM audit.log", 0),
    Harm("DELETE FROM audit.tree", 0),
    Harm("UPDATE audit.log SET sequenced = sequenced + 1", SIZE + WAITING, "missing"),
    Harm(
        "INSERT INTO audit.entry (tenant, index, leaf, fact, source, part, position)"
        " SELECT tenant, 605, leaf, fact, source, part, 100000 FROM audit.entry WHERE index = 604",
        605,
    ),
    Harm(
        "INSERT INTO audit.detail SELECT tenant, 700, salt, actor_kind, actor_id, actor_name, action,"
        " outcome, count, at, matter, approvals, visibility, runs FROM audit.detail WHERE index = 0",
        700,
    ),
    Harm(f"INSERT INTO audit.detail_entity VALUES ('{ONE}', 'role', 'owner', 17, 2)", 17),
    Harm(f"INSERT INTO audit.detail_entity VALUES ('{ONE}', 'role', 'owner', 700, 0)", 700),
    Harm("INSERT INTO audit.tile SELECT tenant, 0, 2, hashes FROM audit.tile WHERE number = 1", 512),
    Harm("INSERT INTO audit.tile SELECT tenant, 7, 0, hashes FROM audit.tile WHERE number = 1", 0),
    Harm(
        "INSERT INTO audit.checkpoint SELECT tenant, 601, root, note FROM audit.checkpoint WHERE size = 600",
        None,
        "601",
    ),
    Harm(
        "ALTER TABLE audit.checkpoint DROP CONSTRAINT checkpoint_size_check;"
        "INSERT INTO audit.checkpoint SELECT tenant, -5, root, note FROM audit.checkpoint WHERE size = 600",
        None,
        "-5",
    ),
    Harm(
        "ALTER TABLE audit.tile DROP CONSTRAINT tile_hashes_check;"
        "UPDATE audit.tile SET hashes = 'short' WHERE number = 1",
        256,
    ),
    Harm("UPDATE audit.detail SET at = 'infinity' WHERE index = 17", 17, "time"),
    Harm(
        "ALTER TABLE audit.detail ALTER salt DROP NOT NULL;"
        "UPDATE audit.detail SET salt = NULL WHERE index = 17",
        17,
    ),
    Harm(
        "ALTER TABLE audit.detail ALTER approvals DROP NOT NULL; UPDATE audit.detail SET approvals = NULL", 0
    ),
    Harm(
        "ALTER TABLE audit.entry ALTER leaf DROP NOT NULL, ALTER leaf_hash DROP NOT NULL;"
        "UPDATE audit.entry SET leaf = NULL WHERE index = 17",
        17,
    ),
    Harm(
        "UPDATE audit.entry e SET leaf = o.leaf FROM audit.entry o"
        " WHERE e.index IN (40, 41) AND o.index IN (40, 41) AND e.index <> o.index",
        40,
    ),
    Harm(  # the entry, its column and its tile agree with each other: the signed root alone tells
        "WITH forged AS (UPDATE audit.entry SET position = 100000, leaf = convert_to(replace("
        " convert_from(leaf, 'UTF8'), '\"position\":\"18\"', '\"position\":\"100000\"'), 'UTF8')"
        " WHERE index = 17 RETURNING leaf_hash) UPDATE audit.tile SET hashes = overlay("
        " hashes PLACING (SELECT leaf_hash FROM forged) FROM 17 * 32 + 1) WHERE number = 0",
        0,
        "do not give the root",
    ),
]


@pytest.fixture(scope="module")
def database(engines: Engines) -> Iterator[ServiceDatabase]:
    """Give a database with one log, of which a tree has the first 600 entries of 605."""
    name = engines.create_database(engines.template_of("audit"))
    made = engines.database(name, "audit")
    asyncio.run(fill(made))
    yield made
    engines.drop_database(name)


async def fill(database: ServiceDatabase) -> None:
    async with logs_in(database) as logs:
        for size in (FIRST, SIZE - FIRST):
            await logs.sequence([(ONE, act()) for _ in range(size)])
            await logs.integrate()
        await logs.sequence([(ONE, act()) for _ in range(WAITING)])


@contextmanager
def after(database: ServiceDatabase, statement: str) -> Iterator[DatabaseLog]:
    """Give the log as audit_app sees it after a superuser did something, and undo that."""
    with psycopg.connect(database.admin_dsn.reveal(), row_factory=namedtuple_row) as superuser:
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute(statement.encode())
        superuser.execute("SET LOCAL ROLE audit_app")
        superuser.execute("SELECT set_config('app.tenant', %s, true)", (str(ONE),))
        yield DatabaseLog(superuser, ONE)
        superuser.rollback()


def refusal(database: ServiceDatabase, statement: str, kept: Sequence[bytes] = ()) -> EvidenceRefused:
    with after(database, statement) as log, pytest.raises(EvidenceRefused) as refused:
        verify_stored(log, TRUST, kept=kept)
    return refused.value


def test_a_log_that_nobody_touched_holds(database: ServiceDatabase):
    seen: list[tuple[int, int]] = []
    with open_log(database.dsn("audit_app"), ONE) as log:
        verified = verify_stored(log, TRUST, on_progress=lambda done, size: seen.append((done, size)))
    assert (verified.size, verified.waiting) == (SIZE, WAITING)
    assert verified.tree is not None
    assert verified.tree.checkpoints == 2
    assert seen == [(256, SIZE), (512, SIZE), (SIZE, SIZE)]


def test_a_log_that_does_not_exist_has_nothing_wrong(database: ServiceDatabase):
    with open_log(database.dsn("audit_app"), TenantId(uuid4())) as log:
        assert verify_stored(log, TRUST) == Verified(None, 0)


def test_every_column_of_the_log_is_harmed_here(database: ServiceDatabase):
    with psycopg.connect(database.admin_dsn.reveal()) as connection:
        found = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'audit'"
            " AND table_name IN ('entry', 'detail', 'detail_entity', 'tile', 'checkpoint', 'log', 'tree')"
        ).fetchall()
    assert set(found) == COLUMNS.keys() | TREE.keys()


@pytest.mark.planted
@pytest.mark.parametrize("index", TOUCHED)
@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_changed_column_of_an_entry_is_named_by_its_index(
    database: ServiceDatabase, table: str, column: str, index: int
):
    where = f"index = {index}" + (" AND place = 0" if table == "detail_entity" else "")
    statement = changed(table, column, COLUMNS[table, column], where)
    if column == "leaf_hash":
        statement = f"ALTER TABLE audit.entry ALTER leaf_hash DROP EXPRESSION; {statement}"
    assert getattr(refusal(database, statement), "index", None) == index


@pytest.mark.planted
@pytest.mark.parametrize("harm", [*TREE.values(), *OTHERS], ids=lambda harm: harm.statement[:70])
def test_a_changed_lost_or_added_row_is_named(database: ServiceDatabase, harm: Harm):
    refused = refusal(database, harm.statement)
    assert getattr(refused, "index", None) == harm.index
    assert harm.words in f"{refused.reason} {refused.where}"


CUT_OFF = "; ".join(
    [
        *(
            f"DELETE FROM audit.{table} WHERE index >= {FIRST}"
            for table in ("entry", "detail", "detail_entity")
        ),
        f"DELETE FROM audit.checkpoint WHERE size > {FIRST}",
        "DELETE FROM audit.tile WHERE number > 0",
        f"UPDATE audit.log SET sequenced = {FIRST}",
        f"UPDATE audit.tree SET integrated = {FIRST}",
    ]
)


def test_a_log_that_was_cut_off_everywhere_at_once_is_found_by_a_checkpoint_that_was_kept(
    database: ServiceDatabase,
):
    with open_log(database.dsn("audit_app"), ONE) as log:
        kept = log.checkpoint()
    with after(database, CUT_OFF) as log:
        assert verify_stored(log, TRUST).size == FIRST
    refused = refusal(database, CUT_OFF, [kept])
    assert "truncated" in refused.reason
    assert getattr(refused, "index", None) == FIRST
