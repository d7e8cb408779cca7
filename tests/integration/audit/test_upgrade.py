"""A log from when it and its tree were one row is brought up to date, and goes on where it stood."""

import shutil
from pathlib import Path
from uuid import uuid4

import psycopg

from libs.db.introspection import unbound_tables_in
from libs.db.migrations import migrate
from tests.support.engines import ServiceDatabase

VERSIONS = Path("services/audit/store/migrations/versions").absolute()
LATER = "0005_trees_grow_by_themselves.py"


def test_a_tree_that_had_grown_keeps_its_size(empty_database: ServiceDatabase, tmp_path: Path) -> None:
    shutil.copytree(VERSIONS, tmp_path / "versions", ignore=shutil.ignore_patterns(LATER, "__pycache__"))
    migrate("audit", empty_database.admin_dsn, {}, history=tmp_path, crossing=())
    grown, begun = uuid4(), uuid4()
    with psycopg.connect(empty_database.admin_dsn.reveal(), autocommit=True) as administrator:
        statement = "INSERT INTO audit.log (tenant, sequenced, integrated) VALUES (%s, 7, 5), (%s, 1, 0)"
        administrator.execute(statement, (grown, begun))

        migrate("audit", empty_database.admin_dsn, {})

        sizes = administrator.execute("SELECT tenant, integrated FROM audit.tree").fetchall()
        assert dict(sizes) == {grown: 5, begun: 0}
        assert dict(administrator.execute("SELECT tenant, sequenced FROM audit.log")) == {grown: 7, begun: 1}
        assert unbound_tables_in(administrator, "audit") == []
