"""Receipts in PostgreSQL: marks that only advance, with every advance kept."""

from collections.abc import Mapping

from libs.db.arrays import bigints, instants, uuids
from libs.db.pool import CrossingDatabase
from services.messaging.domain.receipts import Advance, MarkKey
from services.messaging.store.unavailable import log_unavailable

_ADVANCE = """
    WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[],
                             %s::timestamptz[])
            AS w (tenant, conversation, principal, device, delivered, read, at)
         ORDER BY tenant, conversation, principal, device
    ), before AS MATERIALIZED (
        SELECT r.tenant, r.conversation, r.principal, r.device, r.delivered_seq, r.read_seq
          FROM messaging.receipt r
          JOIN wanted w ON w.tenant = r.tenant AND w.conversation = r.conversation
                       AND w.principal = r.principal AND w.device = r.device
    ), after AS (
        INSERT INTO messaging.receipt AS r
               (tenant, conversation, principal, device, delivered_seq, read_seq, at)
        SELECT * FROM wanted
        ON CONFLICT (tenant, conversation, principal, device) DO UPDATE
           SET delivered_seq = greatest(r.delivered_seq, excluded.delivered_seq),
               read_seq = greatest(r.read_seq, excluded.read_seq), at = excluded.at
         WHERE excluded.delivered_seq > r.delivered_seq OR excluded.read_seq > r.read_seq
        RETURNING r.tenant, r.conversation, r.principal, r.device, r.delivered_seq, r.read_seq, r.at
    )
    INSERT INTO messaging.receipt_advance
           (tenant, conversation, principal, device, at, delivered_from, delivered_to, read_from, read_to)
    SELECT a.tenant, a.conversation, a.principal, a.device, a.at,
           coalesce(b.delivered_seq, 0), a.delivered_seq, coalesce(b.read_seq, 0), a.read_seq
      FROM after a
      LEFT JOIN before b ON b.tenant = a.tenant AND b.conversation = a.conversation
                        AND b.principal = a.principal AND b.device = a.device
    ON CONFLICT DO NOTHING"""


class PostgresMarks:
    """Writes receipts by the `messaging_writer` role."""

    def __init__(self, database: CrossingDatabase) -> None:
        """Write to `database`."""
        self._database = database

    async def advance(self, advances: Mapping[MarkKey, Advance]) -> None:
        """Write the advances in one transaction; a mark that stands further already stays."""
        columns = (
            uuids([mark.key.tenant for mark in advances]),
            uuids([mark.key.conversation for mark in advances]),
            uuids([mark.principal for mark in advances]),
            uuids([mark.device for mark in advances]),
            bigints([advance.delivered for advance in advances.values()]),
            bigints([advance.read for advance in advances.values()]),
            instants([advance.at for advance in advances.values()]),
        )
        with log_unavailable():
            async with self._database.begin() as tx:
                await tx.execute(_ADVANCE, columns)
