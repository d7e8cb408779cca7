"""Tell what a run destroyed and why, for its certificate."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.kernel.ids import TenantId
from services.messaging.domain.dispositions import Claims, Place, why_destroyed
from services.messaging.domain.errors import DestroyedUndue
from services.messaging.ports import DestroyedItem, DestroyedReader, DestroyedRow
from services.messaging.usecases.dispositions import claims_of, issued_of


@dataclass(frozen=True, slots=True)
class TellDestroyed:
    """Names each item by its commitments, which stay; nothing of what was said is left to tell."""

    reader: DestroyedReader

    async def __call__(
        self, tenant: TenantId, order: UUID, after: Place | None, limit: int
    ) -> Sequence[DestroyedItem]:
        """Return at most `limit` items in order, from behind `after` on, each with its own decision.

        Raises LogUnavailable, and DestroyedUndue for an item that the terms of the run would not destroy.
        """
        found = await self.reader.find_order(tenant, order)
        if found is None:
            return []
        claims = claims_of(issued_of(found).terms, holds=())
        return [_told(row, claims) for row in await self.reader.page(tenant, order, after, limit)]


def _told(row: DestroyedRow, claims: Claims) -> DestroyedItem:
    why = why_destroyed(row.item, claims)
    if why is None:
        raise DestroyedUndue(*row.place)
    return DestroyedItem(
        row.place,
        row.item.conversation_type,
        row.item.sent_at,
        row.commit,
        row.metadata_commitment,
        row.body_commitment,
        row.dek,
        row.bytes,
        row.destroyed_at,
        why.due_at,
        why.destroy_at,
        why.step.voice.value,
        why.step.source,
        why.step.version,
    )
