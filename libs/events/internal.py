"""What a source's internal routes answer: its outbox, for whoever found a gap, and its consumers' cursors.

Both run with the publisher's role, which crosses tenants.
"""

from collections.abc import Awaitable, Callable

from libs.db.names import identifier_of
from libs.db.pool import CrossingDatabase, Transaction
from libs.events.errors import CursorAhead
from libs.events.records import Cursors, StreamRecord

LONGEST_READ = 1_000


async def read_outbox(tx: Transaction, schema: str, part: int, after: int, limit: int) -> list[StreamRecord]:
    """Return up to `limit` (at most 1,000) records of `part` behind the position `after`, in order."""
    rows = await tx.fetch_all(
        f"SELECT part, position, tenant, name, body FROM {identifier_of(schema)}.outbox"
        " WHERE part = %s AND position > %s ORDER BY position LIMIT %s",
        (part, after, min(limit, LONGEST_READ)),
    )
    return [StreamRecord(row.part, row.position, row.tenant, row.name, row.body) for row in rows]


async def read_heads(tx: Transaction, schema: str) -> Cursors:
    """Return the position of the last event of every partition."""
    rows = await tx.fetch_all(f"SELECT part, position FROM {identifier_of(schema)}.outbox_head")
    return {row.part: row.position for row in rows}


async def record_cursors(tx: Transaction, schema: str, consumer: str, cursors: Cursors) -> None:
    """Note how far `consumer` has come; what lies above its cursors is kept for it.

    A consumer may go back (it was restored from a backup). Raises CursorAhead when it claims more than
    the source ever published.
    """
    parts = sorted(cursors)
    positions = [cursors[part] for part in parts]
    ahead = await tx.fetch_one(
        f"SELECT h.part, c.position, h.position AS head FROM {identifier_of(schema)}.outbox_head h"
        " JOIN unnest(%s::smallint[], %s::bigint[]) AS c (part, position) ON c.part = h.part"
        " WHERE c.position > h.position ORDER BY h.part LIMIT 1",
        (parts, positions),
    )
    if ahead is not None:
        raise CursorAhead(consumer, ahead.part, ahead.position, ahead.head)
    await tx.execute(
        f"INSERT INTO {schema}.outbox_consumer (consumer, part, position)"
        " SELECT %s, c.part, c.position FROM unnest(%s::smallint[], %s::bigint[]) AS c (part, position)"
        " ON CONFLICT (consumer, part) DO UPDATE SET position = excluded.position"
        f" WHERE {schema}.outbox_consumer.position <> excluded.position",
        (consumer, parts, positions),
    )


def own_gaps(
    database: CrossingDatabase, schema: str
) -> Callable[[int, int, int], Awaitable[list[StreamRecord]]]:
    """Return how a service that consumes its own stream reads its outbox where the stream has a gap."""

    async def fetch(part: int, after: int, limit: int) -> list[StreamRecord]:
        async with database.begin() as tx:
            return await read_outbox(tx, schema, part, after, limit)

    return fetch


def own_reports(database: CrossingDatabase, schema: str) -> Callable[[str, Cursors], Awaitable[None]]:
    """Return how a service that consumes its own stream notes how far it has come."""

    async def report(consumer: str, cursors: Cursors) -> None:
        async with database.begin() as tx:
            await record_cursors(tx, schema, consumer, cursors)

    return report
