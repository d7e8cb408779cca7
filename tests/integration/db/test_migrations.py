"""Migrations, roles and rights: what the database says equals what the table of crossing roles says."""

import threading
from dataclasses import replace

import psycopg
import pytest

from libs.db.introspection import (
    Grant,
    crossing_grants_in,
    crossing_policies_in,
    grants_in,
    powerful_roles_among,
)
from libs.db.provision import provision
from libs.db.roles import apply_grants
from tests.integration.db.sample import LOGINS, SampleDatabase, migrate_sample, sample_roles
from tests.support.engines import Engines, ServiceDatabase

WANTED = {grant for role in sample_roles() for grant in role.grants}


def test_the_crossing_roles_have_exactly_the_rights_of_their_table(admin: psycopg.Connection) -> None:
    assert crossing_grants_in(admin, "sample") == WANTED


def test_a_crossing_role_passes_the_policies_of_its_tables_alone(admin: psycopg.Connection) -> None:
    assert crossing_policies_in(admin, "sample") == {
        "sample_publisher on sample.outbox",
        "sample_writer on sample.outbox",
        "sample_consumer on sample.parked",
        "sample_consumer on sample.dead_letter",
        "sample_consumer on sample.effect",
    }


def test_no_role_of_a_service_has_power_over_others(admin: psycopg.Connection) -> None:
    assert powerful_roles_among(admin, (*LOGINS, "sample_owner")) == []


@pytest.mark.parametrize(
    "defect",
    [
        "GRANT SELECT (body) ON sample.outbox TO sample_writer",
        "GRANT SELECT ON sample.note TO sample_writer",
        "GRANT SELECT ON sample.note TO PUBLIC",
        "GRANT TRUNCATE ON sample.parked TO sample_consumer",
        "GRANT EXECUTE ON FUNCTION sample.drop_outbox_days TO sample_writer",
        "GRANT EXECUTE ON FUNCTION sample.make_outbox_days TO PUBLIC",
        "REVOKE SELECT (body) ON sample.outbox FROM sample_publisher",
    ],
)
def test_a_right_too_many_or_too_few_is_seen_and_repaired(admin: psycopg.Connection, defect: str) -> None:
    admin.execute(defect)
    assert crossing_grants_in(admin, "sample") != WANTED
    apply_grants(admin, "sample", sample_roles())
    assert crossing_grants_in(admin, "sample") == WANTED


def test_a_role_that_leaves_the_table_loses_its_rights_and_its_policies(admin: psycopg.Connection) -> None:
    left = tuple(role for role in sample_roles() if role.name != "sample_writer")
    apply_grants(admin, "sample", left)
    assert not [grant for grant in grants_in(admin, "sample") if grant.role == "sample_writer"]
    assert not [policy for policy in crossing_policies_in(admin, "sample") if "sample_writer" in policy]


def test_a_table_that_no_migration_made_is_refused(admin: psycopg.Connection) -> None:
    publisher = sample_roles()[0]
    unknown = replace(publisher, grants=frozenset({Grant(publisher.name, "sample.nothing", "SELECT", "x")}))
    with pytest.raises(psycopg.errors.UndefinedTable):
        apply_grants(admin, "sample", (unknown,))
    assert crossing_grants_in(admin, "sample") == WANTED


def test_migrating_again_changes_nothing(engines: Engines, sample: SampleDatabase) -> None:
    def facts(admin: psycopg.Connection) -> list[object]:
        tables = admin.execute(
            "SELECT relname, relowner::regrole::text FROM pg_class"
            " WHERE relnamespace = 'sample'::regnamespace ORDER BY 1"
        ).fetchall()
        return [tables, grants_in(admin, "sample"), crossing_policies_in(admin, "sample")]

    with psycopg.connect(sample.admin.reveal()) as admin:
        before = facts(admin)
    with engines.alone("migrations"):
        migrate_sample(engines, sample.name)
    with psycopg.connect(sample.admin.reveal()) as admin:
        assert facts(admin) == before


def test_everything_in_a_schema_belongs_to_its_owner_role(admin: psycopg.Connection) -> None:
    owners = admin.execute(
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'sample'::regnamespace"
    ).fetchall()
    assert owners == [("sample_owner",)]


def test_only_provisioned_roles_may_connect(engines: Engines, empty_database: ServiceDatabase) -> None:
    with engines.alone("migrations"):
        migrate_sample(engines, empty_database.name)
    with psycopg.connect(empty_database.admin_dsn.reveal(), autocommit=True) as admin:
        entitled = admin.execute(
            "SELECT CASE g.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(g.grantee) END"
            "  FROM pg_database d, aclexplode(d.datacl) g"
            " WHERE d.datname = current_database() AND g.privilege_type = 'CONNECT'"
        ).fetchall()
    assert {role for (role,) in entitled} == {"postgres", "sample_owner", *LOGINS}


def test_a_password_reaches_the_server_as_a_verifier_alone(
    engines: Engines, admin: psycopg.Connection
) -> None:
    stored = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'sample_app'").fetchone()
    assert stored is not None
    assert stored[0].startswith("SCRAM-SHA-256$")
    assert engines.password_of("sample_app").reveal() not in stored[0]


def test_databases_of_one_cluster_can_be_provisioned_at_once(engines: Engines) -> None:
    names = [engines.create_database() for _ in range(4)]
    passwords = {role: engines.password_of(role) for role in LOGINS}
    failures: list[BaseException] = []

    def run(name: str) -> None:
        try:
            with psycopg.connect(engines.postgres.admin_dsn(name).reveal(), autocommit=True) as connection:
                for _ in range(5):
                    provision(connection, "sample", LOGINS, passwords)
        except psycopg.Error as error:
            failures.append(error)

    with engines.alone("migrations"):
        threads = [threading.Thread(target=run, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in names:
        engines.drop_database(name)
    assert failures == []
