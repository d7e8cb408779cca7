"""A database from before the audit log is brought up to date, and what it holds is no difference."""

import shutil
from pathlib import Path

import psycopg

from libs.db.introspection import unbound_tables_in
from libs.db.migrations import migrate
from services.identity.store.acts import ACTS

VERSIONS = Path("services/identity/store/migrations/versions").absolute()


def test_acts_from_before_the_log_are_counted_once_and_for_all(empty_database, tmp_path):
    (tmp_path / "versions").mkdir()
    shutil.copy(VERSIONS / "0001_directory_and_sessions.py", tmp_path / "versions")
    migrate("identity", empty_database.admin_dsn, {}, history=tmp_path, crossing=())
    with psycopg.connect(empty_database.admin_dsn.reveal(), autocommit=True) as administrator:
        administrator.execute("""
            INSERT INTO identity.tenant VALUES (gen_random_uuid(), 'acme', 'Acme', true, now());
            INSERT INTO identity.principal
            SELECT tenant, gen_random_uuid(), n::text, n::text, NULL, 'A', true, '{}', '', '{}', n, now(),
                   now(), CASE WHEN n = 3 THEN now() END
              FROM identity.tenant, generate_series(1, 3) AS n;
            INSERT INTO identity.role_grant SELECT tenant, principal, 'guest', 'scim' FROM identity.principal;
            INSERT INTO identity.password SELECT tenant, principal, 'h', now() FROM identity.principal;
            INSERT INTO identity.scim_token SELECT tenant, 'x', now(), now() FROM identity.tenant""")

        migrate("identity", empty_database.admin_dsn, {})

        untold: dict[str, int] = dict(
            administrator.execute("SELECT action, count FROM identity.act_untold").fetchall()
        )
        counted = {row for statement in ACTS.values() for row in administrator.execute(statement).fetchall()}
        assert untold["identity.principal.updated"] == 3
        assert untold["identity.principal.removed"] == 1
        assert untold["identity.principal.provisioned"] == untold["identity.password.set"] == 3
        assert {acts for _, acts in counted} == {0}
        assert unbound_tables_in(administrator, "identity") == []
