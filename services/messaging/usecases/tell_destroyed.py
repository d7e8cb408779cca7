"""Tell what a run destroyed and why, for its certificate."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.kernel.ids import TenantId
from services.messaging.domain.dispositions import Place
from services.messaging.ports import DestroyedItem, DestroyedReader


@dataclass(frozen=True, slots=True)
class TellDestroyed:
    """Names each item by its commitments, which stay; nothing of what was said is left to tell."""

    reader: DestroyedReader

    async def __call__(
        self, tenant: TenantId, order: UUID, after: Place | None, limit: int
    ) -> Sequence[DestroyedItem]:
        """Return at most `limit` items in order, from behind `after` on. Raises LogUnavailable."""
        return await self.reader.page(tenant, order, after, limit)
