"""Appending to the outbox: positions dense, gap-free and in commit order, from one row per partition."""

from collections.abc import Sequence
from functools import cache

from libs.contracts.events import Event, encode
from libs.db.arrays import ByteaArray, SmallintArray, TextArray, UuidArray, byteas, smallints, texts, uuids
from libs.db.names import identifier_of
from libs.db.pool import Transaction
from libs.events.records import OutboxRecord, partition_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId

__all__ = [
    "OutboxRecord",
    "append",
    "append_statement",
    "arrays_of",
    "insert_records",
    "move_heads",
    "partition_of",
    "record_of",
]


@cache
def append_statement(schema: str) -> str:
    """Return the statement that appends many records at once; it is a writer's last before COMMIT.

    Its parameters are those of `arrays_of`; a row count of their length is what it answers. It locks the
    heads of its partitions in ascending order, so that two writers never wait for each other in a circle,
    and holds them to the commit: the order of locks is the order of positions is the order of commits. A
    partition without a head breaks the NOT NULL of `position` instead of losing the record. Nothing that
    waits for a network may follow it in the transaction.
    """
    return f"WITH outbox_moved AS ({move_heads(schema)}) {insert_records(schema)}"


@cache
def move_heads(schema: str, condition: str = "true") -> str:
    """Return the first part of `append_statement`, to stand as `outbox_moved` in a statement that does more.

    Nothing is locked or moved where the SQL `condition` does not hold.
    """
    identifier_of(schema)
    return f"""
        WITH share AS MATERIALIZED (
            SELECT r.part, count(*) AS records FROM unnest(%s::smallint[]) AS r (part)
             WHERE {condition} GROUP BY r.part
        ), locked AS MATERIALIZED (
            SELECT h.part FROM {schema}.outbox_head h WHERE h.part IN (SELECT part FROM share)
             ORDER BY h.part FOR UPDATE
        )
        UPDATE {schema}.outbox_head h SET position = h.position + s.records
          FROM locked l JOIN share s ON s.part = l.part
         WHERE h.part = l.part
        RETURNING h.part, h.position - s.records AS before"""


@cache
def insert_records(schema: str, condition: str = "true") -> str:
    """Return the second part of `append_statement`; `condition` is that of the first."""
    identifier_of(schema)
    return f"""
        INSERT INTO {schema}.outbox (part, position, day, tenant, name, body)
        SELECT r.part, h.before + row_number() OVER (PARTITION BY r.part ORDER BY r.place),
               (now() AT TIME ZONE 'UTC')::date, r.tenant, r.name, r.body
          FROM unnest(%s::smallint[], %s::uuid[], %s::text[], %s::bytea[])
               WITH ORDINALITY AS r (part, tenant, name, body, place)
          LEFT JOIN outbox_moved h ON h.part = r.part
         WHERE {condition}"""


def arrays_of(
    records: Sequence[OutboxRecord],
) -> tuple[SmallintArray, SmallintArray, UuidArray, TextArray, ByteaArray]:
    """Return the parameters of `append_statement` for `records`, whose order within a partition is kept.

    In order: parts, for the heads and again for the records, tenants, names, bodies.
    """
    parts = smallints([record.part for record in records])
    return (
        parts,
        parts,
        uuids([record.tenant for record in records]),
        texts([record.name for record in records]),
        byteas([record.body for record in records]),
    )


def record_of(
    event: Event,
    tenant: TenantId,
    ids: Ids,
    clock: Clock,
    *,
    subject: str | None = None,
    traceparent: str | None = None,
) -> OutboxRecord:
    """Return an event of `tenant` as a record of the tenant's partition."""
    body = encode(
        event, id=ids.uuid7(), time=clock.now(), tenant=tenant, subject=subject, traceparent=traceparent
    )
    return OutboxRecord(partition_of(tenant), tenant, event.name, body)


async def append(tx: Transaction, schema: str, records: Sequence[OutboxRecord]) -> None:
    """Append `records` to the outbox of `schema`: the last statement of the transaction of the act itself."""
    if records:
        await tx.execute(append_statement(schema), arrays_of(records))
