"""The publisher's view of an outbox, on the one connection that also holds its locks."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from psycopg import AsyncConnection

from libs.contracts.streams import PARTITIONS
from libs.db.names import identifier_of
from libs.events.records import Cursors, StreamRecord

RECORDS_A_PARTITION = 100  # of one round: bounds the memory of a catch-up, 64 partitions together


class OutboxReader:
    """Reads heads, records and cursors of one source; every statement stands for itself (autocommit)."""

    def __init__(self, connection: AsyncConnection[Any], schema: str, consumers: Iterable[str]) -> None:
        """Read `schema`; `consumers` are those that must exist, reported or not yet."""
        self._connection = connection
        self._schema = identifier_of(schema)
        self._consumers = sorted(consumers)

    async def lock(self, parts: Iterable[int]) -> list[int]:
        """Return those of `parts` whose publisher this connection now is, for as long as it lives."""
        rows = await self._fetch(
            "SELECT p.part, pg_try_advisory_lock(hashtext(%s), p.part) AS mine"
            "  FROM unnest(%s::integer[]) AS p (part)",
            (f"muniment publisher {self._schema}", list(parts)),
        )
        return [row.part for row in rows if row.mine]

    async def unlock(self) -> None:
        """Give up every partition."""
        await self._connection.execute("SELECT pg_advisory_unlock_all()")

    async def heads(self) -> Cursors:
        """Return the last committed position of every partition."""
        rows = await self._fetch(f"SELECT part, position FROM {self._schema}.outbox_head", ())
        return {row.part: row.position for row in rows}

    async def records_after(self, published: Mapping[int, int]) -> Sequence[StreamRecord]:
        """Return the next records of the partitions of `published`, each partition's in order."""
        rows = await self._fetch(
            f"""
            SELECT o.part, o.position, o.tenant, o.name, o.body
              FROM unnest(%s::smallint[], %s::bigint[]) AS w (part, position)
              JOIN {self._schema}.outbox_head h ON h.part = w.part AND h.position > w.position
             CROSS JOIN LATERAL (
                   SELECT part, position, tenant, name, body FROM {self._schema}.outbox r
                    WHERE r.part = w.part AND r.position > w.position
                    ORDER BY r.position LIMIT {RECORDS_A_PARTITION}) o
            """,
            (list(published.keys()), list(published.values())),
        )
        return [StreamRecord(row.part, row.position, row.tenant, row.name, row.body) for row in rows]

    async def cursors(self) -> dict[str, Cursors]:
        """Return each consumer's cursors; one that never reported stands at 0 everywhere."""
        known: dict[str, Cursors] = {name: dict.fromkeys(range(PARTITIONS), 0) for name in self._consumers}
        statement = f"SELECT consumer, part, position FROM {self._schema}.outbox_consumer"
        for row in await self._fetch(statement, ()):
            known.setdefault(row.consumer, dict.fromkeys(range(PARTITIONS), 0))[row.part] = row.position
        return known

    async def make_days(self, first: date, days: int) -> list[date]:
        """Make the partitions of `days` days from `first`; return those that were missing."""
        rows = await self._fetch(
            f"SELECT day FROM {self._schema}.make_outbox_days(%s, %s) AS day", (first, days)
        )
        return [row.day for row in rows]

    async def drop_days(self, before: date) -> list[date]:
        """Drop the days before `before` that every consumer has passed; return them."""
        rows = await self._fetch(
            f"SELECT day FROM {self._schema}.drop_outbox_days(%s, %s) AS day", (before, self._consumers)
        )
        return [row.day for row in rows]

    async def _fetch(self, statement: str, parameters: Sequence[object]) -> list[Any]:
        cursor = await self._connection.execute(statement, parameters, binary=True)
        return await cursor.fetchall()
