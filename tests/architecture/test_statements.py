"""SQL stays in its service's schema and on its tenant."""

import pytest

from libs.db.roles import read_crossing_roles
from tests.architecture.rules.own_schema import foreign_names
from tests.architecture.rules.sources import ROOT, Source, shipped_sources
from tests.architecture.rules.statements import statements_of
from tests.architecture.rules.tenant_bound import tenant_tables_of, unbound_statements

SCHEMAS = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "store").is_dir())
TENANT_TABLES = {"messaging.entry", "messaging.head"}


# Modules some of whose statements cross tenants on purpose: the role that runs them, and the reason.
CROSSING = {
    "services/audit/store/ledger.py": ("audit_sequencer", "the trees of all logs are grown"),
    "services/audit/store/acts.py": ("audit_publisher", "acts are counted tenant by tenant"),
    "services/audit/store/books.py": ("audit_sequencer", "entries are counted tenant by tenant"),
    "services/identity/store/tenants.py": ("identity_resolver", "a slug leads to a tenant"),
    "services/ediscovery/store/acts.py": ("ediscovery_publisher", "acts are counted tenant by tenant"),
    "services/ediscovery/store/expunges.py": ("ediscovery_projector", "words vanish in every tenant's index"),
    "services/ediscovery/store/production_queue.py": (
        "ediscovery_projector",
        "productions are made one after the other, whoever's they are",
    ),
    "services/ediscovery/store/rebuilds.py": ("ediscovery_projector", "every tenant's index is watched over"),
    "services/holds/store/acts.py": ("holds_publisher", "acts are counted tenant by tenant"),
    "services/identity/store/acts.py": ("identity_publisher", "acts are counted tenant by tenant"),
    "services/keys/store/acts.py": ("keys_publisher", "acts are counted tenant by tenant"),
    "services/keys/store/wiping.py": ("keys_shredder", "one table has the keys of all tenants"),
    "services/messaging/store/waiting_closings.py": ("messaging_closer", "keys are closed in every tenant"),
    "services/messaging/store/waiting_orders.py": ("messaging_projector", "orders wait in every tenant"),
    "services/retention/store/acts.py": ("retention_publisher", "acts are counted tenant by tenant"),
    "services/messaging/store/acts.py": ("messaging_publisher", "acts are counted tenant by tenant"),
    "services/identity/store/revocations.py": ("identity_resolver", "gateways learn of all revocations"),
}


def planted(statement: str) -> list[Source]:
    """Return a store of messaging that says `statement`."""
    return [Source("services/messaging/store/planted.py", f"PLANTED = {statement!r}\n")]


def test_every_statement_names_its_own_schema_alone():
    assert foreign_names(statements_of(shipped_sources()), SCHEMAS) == []


@pytest.mark.planted
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT seq FROM identity.tenant WHERE tenant = %s",
        "SELECT 1 FROM messaging.entry AS e JOIN keys.dek AS d ON d.tenant = e.tenant",
        'SELECT seq FROM "identity"."tenant"',
        "INSERT INTO keys.dek (tenant) VALUES (%s)",
        "WITH x AS (SELECT tenant FROM identity.tenant) SELECT * FROM x",
        "CREATE VIEW messaging.people AS SELECT * FROM identity.principal",
        "GRANT SELECT ON identity.principal TO messaging_app",
        "LOCK TABLE keys.dek IN SHARE MODE",
        "SELECT seq FROM entry WHERE tenant = %s",
        "select seq from entry",
        "SELECT seq FROM public.entry WHERE tenant = %s",
        "SELECT seq FROM messaging.entry WHERE (((",
    ],
)
def test_a_statement_outside_its_schema_is_caught(statement: str):
    assert foreign_names(statements_of(planted(statement)), ["identity", "keys", "messaging"])


def test_every_statement_on_a_tenant_table_is_bound_to_the_tenant():
    tables = tenant_tables_of(shipped_sources())
    assert unbound_statements(statements_of(shipped_sources()), tables, CROSSING) == []


@pytest.mark.parametrize("path", CROSSING)
def test_a_module_that_crosses_tenants_does_so_as_a_declared_role_on_its_tables(path: str):
    sources = [source for source in shipped_sources() if source.path == path]
    crossed = unbound_statements(statements_of(sources), tenant_tables_of(shipped_sources()))
    assert crossed
    declared = {role.name: role.tables for role in read_crossing_roles()}[CROSSING[path][0]]
    assert {breach.split(": ")[1].split(" ")[0] for breach in crossed} <= declared


def test_the_tenant_tables_are_those_that_migrations_bind():
    text = 'def upgrade():\n    tenant_table(op, "messaging.planted", app="SELECT")\n'
    path = "services/messaging/store/migrations/versions/0009_planted.py"
    assert tenant_tables_of([Source(path, text)]) == {"messaging.planted"}
    assert {"messaging.entry", "messaging.payload", "keys.dek"} <= tenant_tables_of(shipped_sources())


def test_a_statement_in_a_function_or_an_f_string_is_seen_too():
    text = (
        'SCHEMA = "identity"\n'
        "def people(tx, n):\n"
        '    """Select nothing from a docstring."""\n'
        '    return tx.fetch_all(f"SELECT name FROM {SCHEMA}.tenant LIMIT {n}")\n'
    )
    found = statements_of([Source("services/messaging/store/planted.py", text)])
    assert [statement.text for statement in found] == ["SELECT name FROM identity.tenant LIMIT unknown_part"]
    assert foreign_names(found, ["identity", "messaging"])


def test_a_part_that_another_module_has_is_read_where_it_stands_and_nowhere_else():
    text = (
        "from services.messaging.store.versions import VERSIONS as JOINED\n"
        'PLANTED = f"SELECT m.seq FROM messaging.entry e {JOINED} WHERE e.tenant = %s"\n'
    )
    (whole,) = statements_of([Source("services/messaging/store/planted.py", text)])
    assert "LEFT JOIN messaging.amendment" in whole.text
    assert foreign_names([whole], ["identity", "messaging"]) == []
    elsewhere = text.replace("FROM messaging.entry", "FROM identity.tenant")
    found = statements_of([Source("services/identity/store/planted.py", elsewhere)])
    assert foreign_names(found, ["identity", "messaging"])
    shared = [each for each in shipped_sources() if each.path == "services/messaging/store/versions.py"]
    assert statements_of(shared) == []


@pytest.mark.planted
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT seq FROM messaging.entry WHERE conversation = %s",
        "SELECT e.seq FROM messaging.entry AS e, messaging.head AS h WHERE h.tenant = %s AND e.seq = h.seq",
        "SELECT tenant FROM messaging.entry",
        "SELECT seq FROM messaging.entry ORDER BY tenant",
        "UPDATE messaging.head SET last_seq = %s, tenant = tenant WHERE conversation = %s",
        "DELETE FROM messaging.entry WHERE conversation = %s",
        "INSERT INTO messaging.entry (conversation, seq) VALUES (%s, %s)",
        "INSERT INTO messaging.entry VALUES (%s, %s)",
        "WITH gone AS (DELETE FROM messaging.entry WHERE seq < %s RETURNING seq) SELECT count(*) FROM gone",
        "SELECT 1 FROM messaging.head WHERE tenant = %s AND EXISTS (SELECT 1 FROM messaging.entry)",
    ],
)
def test_a_statement_without_its_tenant_is_caught(statement: str):
    assert unbound_statements(statements_of(planted(statement)), TENANT_TABLES)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT seq FROM messaging.entry WHERE tenant = %s AND conversation = %s",
        "SELECT seq FROM messaging.entry WHERE (tenant, conversation) = (%s, %s)",
        "SELECT seq FROM messaging.entry WHERE tenant = ANY(%s)",
        "SELECT seq FROM messaging.entry WHERE (tenant, conversation) IN (SELECT * FROM unnest(%s, %s))",
        "SELECT h.seq FROM messaging.head AS h JOIN unnest(%s::uuid[]) AS k(tenant, c) USING (tenant, c)",
        "SELECT h.seq FROM unnest(%s) AS k(t) JOIN messaging.head AS h ON h.tenant = k.t FOR UPDATE OF h",
        "UPDATE messaging.head AS h SET seq = k.s FROM unnest(%s::uuid[]) AS k(t, s) WHERE h.tenant = k.t",
        "DELETE FROM messaging.entry WHERE tenant = %(tenant)s",
        "INSERT INTO messaging.entry (tenant, seq) SELECT * FROM unnest(%s::uuid[], %s::bigint[])",
        "WITH h AS (SELECT seq FROM messaging.head WHERE tenant = %s) SELECT seq FROM h",
    ],
)
def test_a_statement_bound_to_its_tenant_is_let_through(statement: str):
    found = statements_of(planted(statement))
    assert unbound_statements(found, TENANT_TABLES) == []
    assert foreign_names(found, ["identity", "keys", "messaging"]) == []
