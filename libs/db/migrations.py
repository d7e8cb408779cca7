"""One history of migrations per service, run by an administrator and owned by the service's owner role.

A migration lies in `services/<service>/store/migrations/versions/` and speaks by `alembic.op` and the
functions that this module gives it.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text

from libs.db.names import identifier_of, owner_of
from libs.db.provision import provision
from libs.db.roles import CrossingRole, apply_grants, read_crossing_roles, roles_of
from libs.db.tables import TENANT_MATCHES, create_outbox, create_projection, tenant_table
from libs.kernel.secrets import Secret

__all__ = [
    "TENANT_MATCHES",
    "create_outbox",
    "create_projection",
    "head_of",
    "login_roles_of",
    "migrate",
    "tenant_table",
]

_SERVICES = Path(__file__).parents[2] / "services"


def migrate(
    service: str,
    admin_dsn: Secret,
    passwords: Mapping[str, Secret],
    *,
    history: Path | None = None,
    crossing: tuple[CrossingRole, ...] | None = None,
) -> None:
    """Bring the database at `admin_dsn` to the newest revision of `service`, roles and rights included.

    `passwords` names the roles whose password is set; the others keep theirs. Idempotent, safe to run
    beside the previous version of the code, and serialised per database and service; one at a time in a
    process, because `alembic.op` is one per process. `history` and `crossing` stand for the folder of
    migrations and the table of crossing roles of the repository.
    """
    table = read_crossing_roles() if crossing is None else crossing
    folder = _SERVICES / identifier_of(service) / "store" / "migrations" if history is None else history
    with closing(psycopg.connect(admin_dsn.reveal(), autocommit=True)) as admin:
        # held to the end of the session: two migrations of one service wait for each other
        admin.execute("SELECT pg_advisory_lock(hashtext('muniment migrate'), hashtext(%s))", (service,))
        provision(admin, service, roles_of(service, table), passwords)
        if (folder / "versions").is_dir():
            _upgrade(service, admin_dsn, folder)
        apply_grants(admin, service, table)


def login_roles_of(service: str) -> tuple[str, ...]:
    """Return the roles of `service` that sign in, and for which `migrate` takes passwords."""
    return roles_of(service, read_crossing_roles())


def head_of(service: str) -> str | None:
    """Return the newest revision of `service`'s history, None when it has none."""
    folder = _SERVICES / identifier_of(service) / "store" / "migrations"
    return _script_of(folder).get_current_head() if (folder / "versions").is_dir() else None


def _script_of(folder: Path) -> ScriptDirectory:
    return ScriptDirectory(str(folder), version_locations=[str(folder / "versions")])


def _upgrade(service: str, admin_dsn: Secret, folder: Path) -> None:
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(admin_dsn.reveal()), poolclass=NullPool
    )
    with engine.connect() as connection:
        # a lock that does not come in time fails the migration instead of stopping the service behind it
        connection.execute(text("SET lock_timeout = '5s'"))
        connection.execute(text(f"SET ROLE {owner_of(service)}"))
        connection.commit()
        _run(service, connection, _script_of(folder))


def _run(service: str, connection: Connection, script: ScriptDirectory) -> None:
    """Run what is missing, each revision in a transaction of its own.

    This is what `alembic upgrade head` does, without the env.py that Alembic would execute at import.
    """

    def missing(revision: Any, _context: MigrationContext) -> Iterable[Any]:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - as alembic.command.upgrade does

    context = MigrationContext.configure(
        connection,
        opts={
            "fn": missing,
            "script": script,
            "version_table_schema": service,
            "transaction_per_migration": True,
        },
    )
    with Operations.context(context), context.begin_transaction():
        context.run_migrations()
