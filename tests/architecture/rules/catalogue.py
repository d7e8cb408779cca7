"""What the database itself says about tenants and roles, compared with what was declared."""

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import Connection

from libs.db.introspection import Grant

_KEYS_WITHOUT_TENANT_FIRST = """
SELECT n.nspname || '.' || c.relname AS on_table, i.relname AS key
  FROM pg_index x
  JOIN pg_class i ON i.oid = x.indexrelid
  JOIN pg_class c ON c.oid = x.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND x.indisunique AND NOT c.relispartition
   AND EXISTS (SELECT FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped)
   AND NOT EXISTS (SELECT FROM pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attnum = x.indkey[0] AND a.attname = 'tenant')
 ORDER BY 1, 2
"""


def rights_that_differ(declared: Iterable[Grant], actual: Iterable[Grant]) -> list[str]:
    """Return a sentence for each right that is declared and not there, or there and not declared."""
    wanted, found = set(declared), set(actual)
    return [f"{_named(grant)} is declared and not granted" for grant in sorted(wanted - found, key=repr)] + [
        f"{_named(grant)} is granted and not declared" for grant in sorted(found - wanted, key=repr)
    ]


def keys_that_start_elsewhere(
    connection: Connection[Any], schema: str, exceptions: Mapping[str, str]
) -> list[str]:
    """Return a sentence for each unique key of a tenant table whose first column is not the tenant.

    `exceptions` are names of keys with the reason why they differ.
    """
    rows = connection.execute(_KEYS_WITHOUT_TENANT_FIRST, {"schema": schema}).fetchall()
    return [
        f"{table}: the key {key} does not start with the tenant"
        for table, key in rows
        if key not in exceptions
    ]


def _named(grant: Grant) -> str:
    column = "" if grant.column is None else f" ({grant.column})"
    return f"{grant.role}: {grant.privilege}{column} on {grant.table}"
