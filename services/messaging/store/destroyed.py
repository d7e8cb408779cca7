"""What runs destroyed, by the role messaging_app: rows that are never changed any more."""

from typing import Any, Final
from uuid import UUID

import msgspec

from libs.contracts.retention import DispositionOrderIssued
from libs.db.pool import TenantDatabase
from libs.kernel.ids import TenantId
from services.messaging.domain.dispositions import Place
from services.messaging.ports import DestroyedRow, OrderedDisposition
from services.messaging.store.dispositions import item_of
from services.messaging.store.unavailable import log_unavailable

_FIRST: Final = Place(UUID(int=0), 0)
_ORDER: Final = """
    SELECT o.body FROM messaging.disposition_order o
     WHERE o.tenant = %s AND o.order_id = %s AND o.begun_at IS NOT NULL"""
# `ahead` are stretches from that one on in which the page begins (or of which it has seen the last item), and
# `wanted` those that have its items: not one more is taken apart.
_DESTROYED: Final = """
    WITH ahead AS (
        SELECT d.*, d.last_seq - greatest(d.first_seq - 1, CASE d.conversation WHEN %(conversation)s
                                                                 THEN %(seq)s ELSE 0 END) AS items
          FROM messaging.destroyed d
         WHERE d.tenant = %(tenant)s AND d.order_id = %(order)s
           AND (d.conversation, d.first_seq) >= (%(conversation)s, coalesce((
                   SELECT b.first_seq FROM messaging.destroyed b
                    WHERE b.tenant = %(tenant)s AND b.conversation = %(conversation)s
                      AND b.last_seq >= %(seq)s
                    ORDER BY b.last_seq LIMIT 1), %(seq)s))
         ORDER BY d.conversation, d.first_seq LIMIT %(limit)s + 1
    ), counted AS (
        SELECT a.*, sum(a.items) OVER (ORDER BY a.conversation, a.first_seq) - a.items AS before FROM ahead a
    ), wanted AS MATERIALIZED (
        SELECT c.* FROM counted c WHERE c.before < %(limit)s
    )
    SELECT x.conversation, i.seq, h.kind, e.actor, e.sent_at, e.commit, e.metadata_commitment,
           e.body_commitment, x.dek, i.bytes, x.destroyed_at
      FROM wanted x
     CROSS JOIN LATERAL (SELECT x.first_seq + u.place - 1 AS seq, u.bytes
                           FROM unnest(x.sizes) WITH ORDINALITY AS u (bytes, place)) i
      JOIN messaging.entry e ON e.tenant = %(tenant)s AND e.conversation = x.conversation AND e.seq = i.seq
      JOIN messaging.conversation_head h ON h.tenant = %(tenant)s AND h.conversation = x.conversation
     WHERE (x.conversation, i.seq) > (%(conversation)s, %(seq)s)
     ORDER BY x.conversation, i.seq LIMIT %(limit)s"""


class PostgresDestroyed:
    """Reads it page by page, in order."""

    def __init__(self, database: TenantDatabase) -> None:
        """Use the pool `database`, of the role messaging_app."""
        self._database = database

    async def find_order(self, tenant: TenantId, order: UUID) -> OrderedDisposition | None:
        """Return a run as it was ordered."""
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                row = await tx.fetch_one(_ORDER, (tenant, order))
        return None if row is None else msgspec.json.decode(row.body, type=DispositionOrderIssued)

    async def page(
        self, tenant: TenantId, order: UUID, after: Place | None, limit: int
    ) -> list[DestroyedRow]:
        """Return at most `limit` items from behind `after` on."""
        begin = after or _FIRST
        named = {
            "tenant": tenant,
            "order": order,
            "conversation": begin.conversation,
            "seq": begin.seq,
            "limit": limit,
        }
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                rows = await tx.fetch_all(_DESTROYED, named)
        return [_row_of(row) for row in rows]


def _row_of(row: Any) -> DestroyedRow:
    return DestroyedRow(
        Place(row.conversation, row.seq),
        item_of(row, frozenset()),
        row.commit,
        bytes(row.metadata_commitment),
        bytes(row.body_commitment),
        row.dek,
        row.bytes,
        row.destroyed_at,
    )
