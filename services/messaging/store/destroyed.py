"""What a run destroyed, and why, by the role messaging_app: rows that are never changed any more."""

from typing import Any, Final
from uuid import UUID

from libs.db.pool import TenantDatabase
from libs.kernel.ids import TenantId
from services.messaging.domain.dispositions import TYPES, Place
from services.messaging.domain.entries import ConversationKind
from services.messaging.ports import DestroyedItem
from services.messaging.store.unavailable import log_unavailable

_FIRST: Final = Place(UUID(int=0), 0)
_DESTROYED: Final = """
    SELECT x.conversation, x.seq, h.kind, e.sent_at, e.commit, e.metadata_commitment, e.body_commitment,
           d.dek, d.bytes, d.destroyed_at, d.due_at, d.destroy_at, d.voice, d.source, d.version
      FROM messaging.disposal x
      JOIN messaging.disposed d
        ON d.tenant = x.tenant AND d.conversation = x.conversation AND d.seq = x.seq
       AND d.destroyed_by = x.order_id AND d.dek IS NOT NULL
      JOIN messaging.entry e
        ON e.tenant = x.tenant AND e.conversation = x.conversation AND e.seq = x.seq
      JOIN messaging.conversation_head h ON h.tenant = x.tenant AND h.conversation = x.conversation
     WHERE x.tenant = %s AND x.order_id = %s AND (x.conversation, x.seq) > (%s, %s)
     ORDER BY x.conversation, x.seq LIMIT %s"""


class PostgresDestroyed:
    """Reads it page by page, in order."""

    def __init__(self, database: TenantDatabase) -> None:
        """Use the pool `database`, of the role messaging_app."""
        self._database = database

    async def page(
        self, tenant: TenantId, order: UUID, after: Place | None, limit: int
    ) -> list[DestroyedItem]:
        """Return at most `limit` items from behind `after` on."""
        begin = after or _FIRST
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                rows = await tx.fetch_all(_DESTROYED, (tenant, order, begin.conversation, begin.seq, limit))
        return [_item_of(row) for row in rows]


def _item_of(row: Any) -> DestroyedItem:
    return DestroyedItem(
        Place(row.conversation, row.seq),
        TYPES[ConversationKind(row.kind)],
        row.sent_at,
        row.commit,
        bytes(row.metadata_commitment),
        bytes(row.body_commitment),
        row.dek,
        row.bytes,
        row.destroyed_at,
        row.due_at,
        row.destroy_at,
        row.voice,
        row.source,
        row.version,
    )
