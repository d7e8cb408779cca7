"""The baseline of sequencing: the same rows, inserted by batches into tables of the same form."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql

from libs.db.arrays import bigints, byteas, instants, integers, register_arrays, smallints, texts, uuids
from libs.kernel.ids import TenantId

SCHEMA: Final = "bench"
ROWS_A_COMMIT: Final = 500


class Column(NamedTuple):
    """A column: the type that it is sent as, its cast into the table and out of it, and how it is packed."""

    name: str
    sent: str
    packed: Callable[[Sequence[Any]], bytes]
    cast: str = ""
    read: str = ""


_TENANT: Final = Column("tenant", "uuid", uuids)
_INDEX: Final = Column("index", "bigint", bigints)
TABLES: Final[Mapping[str, tuple[Column, ...]]] = {
    "entry": (
        _TENANT,
        _INDEX,
        Column("leaf", "bytea", byteas),
        Column("fact", "uuid", uuids),
        Column("source", "text", texts),
        Column("part", "smallint", smallints),
        Column("position", "bigint", bigints),
    ),
    "detail": (
        _TENANT,
        _INDEX,
        Column("salt", "bytea", byteas),
        Column("actor_kind", "text", texts),
        Column("actor_id", "uuid", uuids),
        Column("actor_name", "text", texts),
        Column("action", "text", texts),
        Column("outcome", "text", texts),
        Column("count", "bigint", bigints),
        Column("at", "timestamptz", instants),
        Column("matter", "uuid", uuids),
        Column("approvals", "text", texts, "::uuid[]", "::text"),
        Column("visibility", "text", texts),
        Column("runs", "text", texts, "::jsonb", "::text"),
    ),
    "detail_entity": (
        _TENANT,
        Column("kind", "text", texts),
        Column("id", "text", texts),
        _INDEX,
        Column("place", "integer", integers),
    ),
}
"""What an entry consists of in PostgreSQL."""

Connection = psycopg.Connection[tuple[Any, ...]]
Rows = Sequence[tuple[Any, ...]]
Way = Callable[[Connection, str, Rows], None]
"""How rows of a table are inserted."""


class PlainRows:
    """Tables with the columns, checks and indexes of the log's own, and a connection that fills them."""

    def __init__(self, connection: "Connection") -> None:
        """Insert by `connection`, which is in autocommit."""
        self._connection = connection

    def inserts_per_second(self, tenants: Sequence[TenantId], way: Way) -> float:
        """Insert what the logs of `tenants` consist of a second time; return the entries a second.

        Rows are read before, and lie in memory as a program has them; bringing them on the wire counts.
        """
        tables = {name: self._rows_of(name, columns, tenants) for name, columns in TABLES.items()}
        for name in TABLES:
            self._connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(SCHEMA, name)))
        most = max(len(rows) for rows in tables.values())
        began = time.monotonic()
        for start in range(0, most, ROWS_A_COMMIT):
            with self._connection.transaction(), self._connection.pipeline():
                for name, rows in tables.items():
                    way(self._connection, name, rows[start : start + ROWS_A_COMMIT])
        return len(tables["entry"]) / (time.monotonic() - began)

    def _rows_of(
        self, table: str, columns: Sequence[Column], tenants: Sequence[TenantId]
    ) -> list[tuple[Any, ...]]:
        """Return rows as they came: those of all logs side by side, not one log after the other."""
        read = sql.SQL(", ").join(
            sql.SQL("{}{}").format(sql.Identifier(each.name), sql.SQL(each.read)) for each in columns
        )
        statement = sql.SQL("SELECT {} FROM {} WHERE tenant = ANY(%s) ORDER BY index, tenant").format(
            read, sql.Identifier("audit", table)
        )
        return self._connection.execute(statement, (list(tenants),)).fetchall()


def row_by_row(connection: "Connection", table: str, rows: Rows) -> None:
    """Insert rows as the driver's own `executemany` does: a statement each, all on their way at once."""
    with connection.cursor() as cursor:
        cursor.executemany(insert_of(table, TABLES[table]), rows)


def by_arrays(connection: "Connection", table: str, rows: Rows) -> None:
    """Insert rows by one statement with arrays that are packed as the log's own are: nothing is faster."""
    columns = TABLES[table]
    connection.execute(insert_of_arrays(table, columns), packed_of(columns, rows), prepare=True)


def insert_of(table: str, columns: Sequence[Column]) -> sql.Composed:
    """Return the statement that inserts a row."""
    comma = sql.SQL(", ")
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(SCHEMA, table),
        comma.join(sql.Identifier(each.name) for each in columns),
        comma.join(sql.SQL("%s{}").format(sql.SQL(each.cast)) for each in columns),
    )


def insert_of_arrays(table: str, columns: Sequence[Column]) -> sql.Composed:
    """Return the statement that inserts many rows at once, an array for each column."""
    comma = sql.SQL(", ")
    return sql.SQL("INSERT INTO {} ({}) SELECT {} FROM unnest({}) AS r ({})").format(
        sql.Identifier(SCHEMA, table),
        comma.join(sql.Identifier(each.name) for each in columns),
        comma.join(sql.SQL("{}{}").format(sql.Identifier(each.name), sql.SQL(each.cast)) for each in columns),
        comma.join(sql.SQL(f"%s::{each.sent}[]") for each in columns),
        comma.join(sql.Identifier(each.name) for each in columns),
    )


def packed_of(columns: Sequence[Column], rows: Rows) -> list[bytes]:
    """Return rows as one packed array for each column."""
    return [each.packed([row[at] for row in rows]) for at, each in enumerate(columns)]


@contextmanager
def plain_rows(database: str) -> Iterator[PlainRows]:
    """Make the tables beside the log's own, in a schema that is dropped at the end."""
    schema = sql.Identifier(SCHEMA)
    with psycopg.connect(database, autocommit=True) as connection:
        register_arrays(connection.adapters)
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        for table in TABLES:
            connection.execute(
                sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(
                    sql.Identifier(SCHEMA, table), sql.Identifier("audit", table)
                )
            )
        try:
            yield PlainRows(connection)
        finally:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(schema))
