"""What the database itself says about rights and policies, for migrations and tests of the house."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import scalar_row

from libs.db.names import app_role_of, owner_of


class Grant(NamedTuple):
    """One right of one role: on a column, on a whole table (`column` is None) or on a function.

    `table` is "schema.table", or "schema.function" for EXECUTE.
    """

    role: str
    table: str
    privilege: str
    column: str | None


_GRANTS = """
SELECT CASE g.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(g.grantee) END,
       n.nspname || '.' || c.relname, g.privilege_type, NULL
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) g
 WHERE n.nspname = %(schema)s AND g.grantee <> c.relowner
UNION ALL
SELECT CASE g.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(g.grantee) END,
       n.nspname || '.' || c.relname, g.privilege_type, a.attname
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
       aclexplode(a.attacl) g
 WHERE n.nspname = %(schema)s AND NOT a.attisdropped AND g.grantee <> c.relowner
UNION ALL
SELECT CASE g.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(g.grantee) END,
       n.nspname || '.' || p.proname, g.privilege_type, NULL
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace,
       aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
 WHERE n.nspname = %(schema)s AND g.grantee <> p.proowner
"""

_UNBOUND = """
SELECT n.nspname || '.' || c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p')
   AND EXISTS (SELECT FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped)
   AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
         SELECT FROM pg_policy p
          WHERE p.polrelid = c.oid AND p.polroles = ARRAY[to_regrole(%(app)s)::oid] AND p.polcmd = '*'
            AND pg_get_expr(p.polqual, p.polrelid) LIKE '%%app.tenant%%'
            AND pg_get_expr(p.polwithcheck, p.polrelid) LIKE '%%app.tenant%%'))
   AND NOT (c.relispartition AND c.relacl IS NULL)
 ORDER BY 1
"""

_CROSSING_POLICIES = """
SELECT DISTINCT r.rolname || ' on ' || n.nspname || '.' || c.relname
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
       unnest(p.polroles) AS u(role) LEFT JOIN pg_roles r ON r.oid = u.role
 WHERE n.nspname = %(schema)s AND r.rolname IS DISTINCT FROM %(app)s
 ORDER BY 1
"""


def grants_in(connection: Connection[Any], schema: str) -> set[Grant]:
    """Return every right that a role other than the owner has in `schema`, read from the catalogue's ACLs."""
    rows = connection.execute(_GRANTS, {"schema": schema}).fetchall()
    return {Grant(*row) for row in rows}


def crossing_grants_in(connection: Connection[Any], schema: str) -> set[Grant]:
    """Return the rights in `schema` of every role that is neither its owner nor its app role."""
    bound = {app_role_of(schema), owner_of(schema)}
    return {grant for grant in grants_in(connection, schema) if grant.role not in bound}


def unbound_tables_in(connection: Connection[Any], schema: str) -> list[str]:
    """Return the tables with a tenant column that row-level security does not bind to the tenant.

    A partition is bound by its parent as long as nobody has a right on the partition itself.
    """
    return _texts(connection, _UNBOUND, schema)


def crossing_policies_in(connection: Connection[Any], schema: str) -> set[str]:
    """Return "role on schema.table" for every row policy of a role other than the app role."""
    return set(_texts(connection, _CROSSING_POLICIES, schema))


def powerful_roles_among(connection: Connection[Any], roles: Iterable[str]) -> list[str]:
    """Return those of `roles` that bypass row policies, make roles or databases, or are members of a role."""
    statement = """
        SELECT r.rolname FROM pg_roles r
         WHERE r.rolname = ANY(%s)
           AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication
                OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid))
         ORDER BY 1
    """
    with connection.cursor(row_factory=scalar_row) as cursor:
        return list(cursor.execute(statement, (list(roles),)))


def _texts(connection: Connection[Any], statement: str, schema: str) -> list[str]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return list(cursor.execute(statement, {"schema": schema, "app": app_role_of(schema)}))
