"""The table of roles that cross tenants, and how it becomes rights in a database."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import scalar_row

from libs.db.introspection import Grant, crossing_grants_in, grants_in
from libs.db.names import app_role_of, identifier_of, owner_of, table_of

CROSS_TENANT_ROLES = Path(__file__).parents[2] / "policies" / "database" / "cross_tenant_roles.toml"
_COLUMN_PRIVILEGES = ("select", "insert", "update")
_POLICY = "crossing"


@dataclass(frozen=True)
class CrossingRole:
    """One role that sees rows of every tenant, and exactly what it may touch."""

    name: str
    service: str
    purpose: str
    grants: frozenset[Grant] = field(repr=False)

    @property
    def tables(self) -> frozenset[str]:
        """Return the tables, as "schema.table", of which the role has any right."""
        return frozenset(grant.table for grant in self.grants if grant.privilege != "EXECUTE")


def read_crossing_roles(path: Path = CROSS_TENANT_ROLES) -> tuple[CrossingRole, ...]:
    """Return the roles of the table at `path`; raises ValueError for a row that says anything unknown."""
    rows: Sequence[Mapping[str, Any]] = tomllib.loads(path.read_text())["role"]
    return tuple(_role_of(row) for row in rows)


def roles_of(service: str, crossing: Iterable[CrossingRole]) -> tuple[str, ...]:
    """Return the names of the roles that sign in for `service`: its app role and the crossing ones."""
    return (app_role_of(service), *(role.name for role in crossing if role.service == service))


def apply_grants(
    connection: Connection[Any], service: str, crossing: Sequence[CrossingRole] | None = None
) -> None:
    """Give the crossing roles of `service` exactly the rights of the table, and no others.

    Idempotent: only what differs from the catalogue is changed, in one transaction. Every other role's
    right in the schema, the app role's excepted, is taken away. Raises psycopg.Error when the table
    names something that no migration has made.
    """
    roles = [
        role for role in (read_crossing_roles() if crossing is None else crossing) if role.service == service
    ]
    wanted = {grant for role in roles for grant in role.grants}
    with connection.transaction():
        connection.execute(f"SET LOCAL ROLE {owner_of(service)}")
        actual = crossing_grants_in(connection, service)
        for grant in sorted(actual - wanted, key=repr):
            connection.execute(_revocation_of(grant))
        # a column's right goes with the table's: look again before giving
        for grant in sorted(wanted - grants_in(connection, service), key=repr):
            connection.execute(_grant_of(grant))
        _apply_policies(connection, service, roles)


def _role_of(row: Mapping[str, Any]) -> CrossingRole:
    name, service = identifier_of(row["name"]), identifier_of(row["service"])
    if unknown := row.keys() - {"name", "service", "purpose", "tables", "execute"}:
        msg = f"the role {name} has unknown fields: {', '.join(sorted(unknown))}"
        raise ValueError(msg)
    if name in (owner_of(service), app_role_of(service)):
        msg = f"{name} is bound to its tenant and cannot cross"
        raise ValueError(msg)
    grants = {
        grant
        for table, rights in row.get("tables", {}).items()
        for grant in _table_grants(name, table, rights)
    }
    grants |= {
        Grant(name, f"{service}.{identifier_of(function)}", "EXECUTE", None)
        for function in row.get("execute", ())
    }
    if foreign := [grant.table for grant in grants if not grant.table.startswith(f"{service}.")]:
        msg = f"{name} belongs to {service} and may not touch {', '.join(sorted(foreign))}"
        raise ValueError(msg)
    return CrossingRole(name, service, row["purpose"], frozenset(grants))


def _table_grants(role: str, table: str, rights: Mapping[str, Any]) -> set[Grant]:
    table_of(table)
    if unknown := rights.keys() - {*_COLUMN_PRIVILEGES, "delete"}:
        msg = f"{role} has unknown rights on {table}: {', '.join(sorted(unknown))}"
        raise ValueError(msg)
    grants = {
        Grant(role, table, privilege.upper(), identifier_of(column))
        for privilege in _COLUMN_PRIVILEGES
        for column in rights.get(privilege, ())
    }
    if rights.get("delete", False):
        grants.add(Grant(role, table, "DELETE", None))
    return grants


def _right_of(grant: Grant) -> str:
    if grant.privilege == "EXECUTE":
        return f"EXECUTE ON FUNCTION {grant.table}"
    columns = "" if grant.column is None else f" ({grant.column})"
    return f"{grant.privilege}{columns} ON {grant.table}"


def _grant_of(grant: Grant) -> str:
    return f"GRANT {_right_of(grant)} TO {grant.role}"


def _revocation_of(grant: Grant) -> str:
    return f"REVOKE {_right_of(grant)} FROM {grant.role}"


def _apply_policies(connection: Connection[Any], service: str, roles: Sequence[CrossingRole]) -> None:
    """Let each crossing role pass the row policies of its tables, and of no other."""
    wanted = {
        (role.name, table) for role in roles for table in role.tables & _secured_tables(connection, service)
    }
    actual = _crossing_policies(connection, service)
    for role, table in sorted(actual - wanted):
        connection.execute(f"DROP POLICY {_POLICY}_{role} ON {table}")
    for role, table in sorted(wanted - actual):
        connection.execute(
            f"CREATE POLICY {_POLICY}_{role} ON {table} TO {role} USING (true) WITH CHECK (true)"
        )


def _secured_tables(connection: Connection[Any], schema: str) -> set[str]:
    statement = """
        SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = %s AND c.relrowsecurity
    """
    with connection.cursor(row_factory=scalar_row) as cursor:
        return set(cursor.execute(statement, (schema,)))


def _crossing_policies(connection: Connection[Any], schema: str) -> set[tuple[str, str]]:
    statement = f"""
        SELECT substr(p.polname, {len(_POLICY) + 2}), n.nspname || '.' || c.relname
          FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = %s AND p.polname LIKE '{_POLICY}\\_%%'
    """
    return {(str(role), str(table)) for role, table in connection.execute(statement, (schema,)).fetchall()}
