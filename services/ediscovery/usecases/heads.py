"""Go along the conversations that the log committed to."""

from collections.abc import AsyncIterator
from uuid import UUID

from libs.kernel.ids import TenantId
from services.ediscovery.domain.productions.sources import Head
from services.ediscovery.ports.productions import Sources


async def heads_in(sources: Sources, tenant: TenantId, act: UUID) -> AsyncIterator[Head]:
    """Give all conversations of the map `act`, by ascending id. Raises CorrespondenceUnavailable."""
    after: UUID | None = None
    while page := await sources.heads(tenant, act, after):
        for head in page:
            yield head
        after = page[-1].conversation
