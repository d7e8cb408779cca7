"""The baseline of dispositions: the same payloads, in tables of the same form, deleted by plain statements.

The copies lie in the same database and have the columns, keys, checks and partitions of messaging's own
table. Nothing is decided, kept or told about their rows, and no policy stands before them.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql

SCHEMA: Final = "bench"
AT_ONCE: Final = "payload_at_once"
IN_BATCHES: Final = "payload_in_batches"
ROWS_A_BATCH: Final = 1_000
"""As many as one transaction of a run disposes of."""
_PARTITIONS: Final = """
    SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'messaging.payload'::regclass"""
_SENT: Final = """
    SELECT percentile_disc(%s) WITHIN GROUP (ORDER BY p.sent_at)
      FROM messaging.payload p WHERE p.tenant = %s"""

Connection = psycopg.Connection[tuple[Any, ...]]


class Deleted(NamedTuple):
    """How many rows were deleted, and how many a second."""

    rows: int
    per_second: float


class PlainPayloads:
    """Two copies of a tenant's payloads, and a connection that deletes from them."""

    def __init__(self, connection: "Connection", tenant: UUID) -> None:
        """Delete by `connection`, which is in autocommit."""
        self._connection = connection
        self._tenant = tenant

    def sent_at(self, share: float) -> datetime:
        """Return the instant up to which that share of the tenant's payloads was sent."""
        row = self._connection.execute(_SENT.encode(), (share, self._tenant)).fetchone()
        if row is None or row[0] is None:
            raise LookupError(self._tenant)
        sent: datetime = row[0]
        return sent

    def delete_at_once(self, until: datetime) -> Deleted:
        """Delete what was sent until then, by one statement and one commit."""
        self._settle()
        statement = _sql("DELETE FROM {} WHERE tenant = %s AND sent_at <= %s", AT_ONCE)
        began = time.monotonic()
        gone = self._connection.execute(statement, (self._tenant, until)).rowcount
        return Deleted(gone, gone / (time.monotonic() - began))

    def delete_in_batches(self, until: datetime) -> Deleted:
        """Delete what was sent until then in batches, each by its keys and with a commit of its own."""
        listed = _sql(
            "SELECT conversation, seq, sent_at FROM {} WHERE tenant = %s AND sent_at <= %s"
            " ORDER BY conversation, seq",
            IN_BATCHES,
        )
        rows = self._connection.execute(listed, (self._tenant, until)).fetchall()
        self._settle()
        statement = _sql(
            "DELETE FROM {} p USING unnest(%s::uuid[], %s::bigint[], %s::timestamptz[])"
            " AS k (conversation, seq, sent_at) WHERE p.tenant = %s"
            " AND p.conversation = k.conversation AND p.seq = k.seq AND p.sent_at = k.sent_at",
            IN_BATCHES,
        )
        gone = 0
        began = time.monotonic()
        for start in range(0, len(rows), ROWS_A_BATCH):
            columns = [list(each) for each in zip(*rows[start : start + ROWS_A_BATCH], strict=True)]
            gone += self._connection.execute(statement, (*columns, self._tenant)).rowcount
        return Deleted(gone, gone / (time.monotonic() - began))

    def _settle(self) -> None:
        """Write out what went before, so that this pays for nothing but itself."""
        self._connection.execute("CHECKPOINT")


@contextmanager
def plain_payloads(database: str, tenant: UUID) -> Iterator[PlainPayloads]:
    """Make the copies, in a schema that is dropped at the end."""
    schema = sql.Identifier(SCHEMA)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        try:
            for table in (AT_ONCE, IN_BATCHES):
                _copy(connection, table, tenant)
            yield PlainPayloads(connection, tenant)
        finally:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(schema))


def _copy(connection: "Connection", table: str, tenant: UUID) -> None:
    connection.execute(
        _sql("CREATE TABLE {} (LIKE messaging.payload INCLUDING ALL) PARTITION BY RANGE (sent_at)", table)
    )
    for name, bounds in connection.execute(_PARTITIONS.encode()).fetchall():
        connection.execute(
            sql.SQL("CREATE TABLE {} PARTITION OF {} {}").format(
                sql.Identifier(SCHEMA, f"{table}_{name}"),
                sql.Identifier(SCHEMA, table),
                sql.SQL(bounds),
            )
        )
    connection.execute(
        _sql("INSERT INTO {} SELECT p.* FROM messaging.payload p WHERE p.tenant = %s", table), (tenant,)
    )
    connection.execute(_sql("VACUUM (ANALYZE) {}", table))


def _sql(statement: str, table: str) -> sql.Composed:
    return sql.SQL(statement).format(sql.Identifier(SCHEMA, table))
