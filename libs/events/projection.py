"""A projector's rows in its own service's schema: how far it has come, and what it had to park."""

from collections.abc import Iterable
from uuid import UUID

from libs.contracts.streams import PARTITIONS
from libs.db.names import identifier_of
from libs.db.pool import Transaction
from libs.events.records import Cursors, StreamRecord
from libs.kernel.ids import TenantId


class ProjectionRows:
    """The cursors and parked events of one consumer of one source."""

    def __init__(self, schema: str, consumer: str, source: str) -> None:
        """Use the tables that `libs.db.migrations.create_projection` makes in `schema`."""
        self._schema = identifier_of(schema)
        self._key = (consumer, source)

    async def begin_at_zero(self, tx: Transaction) -> None:
        """Make the cursors that are missing."""
        await tx.execute(
            f"INSERT INTO {self._schema}.projection_cursor (consumer, source, part, position)"
            " SELECT %s, %s, part, 0 FROM generate_series(0, %s) AS part ON CONFLICT DO NOTHING",
            (*self._key, PARTITIONS - 1),
        )

    async def cursors(self, tx: Transaction) -> Cursors:
        """Return every cursor as it is committed now."""
        rows = await tx.fetch_all(
            f"SELECT part, position FROM {self._schema}.projection_cursor"
            " WHERE consumer = %s AND source = %s",
            self._key,
        )
        return {row.part: row.position for row in rows}

    async def locked_cursors(self, tx: Transaction, parts: Iterable[int]) -> Cursors:
        """Return the cursors of `parts`, locked in ascending order to the end of the transaction."""
        rows = await tx.fetch_all(
            f"SELECT part, position FROM {self._schema}.projection_cursor"
            " WHERE consumer = %s AND source = %s AND part = ANY(%s) ORDER BY part FOR UPDATE",
            (*self._key, sorted(parts)),
        )
        return {row.part: row.position for row in rows}

    async def advance(self, tx: Transaction, cursors: Cursors) -> None:
        """Move the (locked) cursors."""
        await tx.execute(
            f"UPDATE {self._schema}.projection_cursor c SET position = a.position"
            " FROM unnest(%s::smallint[], %s::bigint[]) AS a (part, position)"
            " WHERE c.consumer = %s AND c.source = %s AND c.part = a.part",
            (list(cursors.keys()), list(cursors.values()), *self._key),
        )

    async def move_up(self, tx: Transaction, cursors: Cursors) -> None:
        """Move cursors forward only: for consumers that advance without locks."""
        await tx.execute(
            f"UPDATE {self._schema}.projection_cursor c SET position = a.position"
            " FROM unnest(%s::smallint[], %s::bigint[]) AS a (part, position)"
            " WHERE c.consumer = %s AND c.source = %s AND c.part = a.part AND c.position < a.position",
            (list(cursors.keys()), list(cursors.values()), *self._key),
        )

    async def parked_among(self, tx: Transaction, tenants: Iterable[UUID]) -> set[UUID]:
        """Return those of `tenants` of whom an event is parked."""
        rows = await tx.fetch_all(
            f"SELECT DISTINCT tenant FROM {self._schema}.parked"
            " WHERE tenant = ANY(%s) AND consumer = %s AND source = %s",
            (list(tenants), *self._key),
        )
        return {row.tenant for row in rows}

    async def park(self, tx: Transaction, record: StreamRecord, reason: str) -> None:
        """Keep an event whose effect has to wait."""
        await tx.execute(
            f"INSERT INTO {self._schema}.parked"
            " (tenant, consumer, source, part, position, name, body, reason)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (record.tenant, *self._key, record.part, record.position, record.name, record.body, reason),
        )

    async def parked_of(self, tx: Transaction, tenant: TenantId, limit: int) -> list[StreamRecord]:
        """Return a tenant's parked events, each partition's in order."""
        rows = await tx.fetch_all(
            f"SELECT part, position, tenant, name, body FROM {self._schema}.parked"
            " WHERE tenant = %s AND consumer = %s AND source = %s ORDER BY part, position LIMIT %s",
            (tenant, *self._key, limit),
        )
        return [StreamRecord(row.part, row.position, row.tenant, row.name, row.body) for row in rows]

    async def unpark(self, tx: Transaction, record: StreamRecord) -> None:
        """Remove a parked event whose effect stands in the same transaction."""
        await tx.execute(
            f"DELETE FROM {self._schema}.parked"
            " WHERE tenant = %s AND consumer = %s AND source = %s AND part = %s AND position = %s",
            (record.tenant, *self._key, record.part, record.position),
        )
