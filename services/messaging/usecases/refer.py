"""Give entries by reference to a service that indexes them: sealed, with those who took part."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.kernel.ids import ConversationId, TenantId
from services.messaging.ports import Referenced, ReferenceReader


@dataclass(frozen=True, slots=True)
class ReferToEntries:
    """Opens nothing: what a reader may unseal is for the key service to say, and to tell of."""

    reader: ReferenceReader

    async def __call__(self, tenant: TenantId, places: Sequence[tuple[ConversationId, int]]) -> Referenced:
        """Return the entries at these places, in order. Raises LogUnavailable."""
        return await self.reader.referenced(tenant, places)

    async def conversations(
        self, tenant: TenantId, since: ConversationId | None, limit: int
    ) -> tuple[list[tuple[ConversationId, int]], int]:
        """Return conversations from `since` on with their last `seq`, and the number of all entries.

        Raises LogUnavailable.
        """
        return await self.reader.heads(tenant, since, limit), await self.reader.entries_of_all(tenant)
