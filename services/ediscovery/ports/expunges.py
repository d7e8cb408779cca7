"""What was destroyed, and whose words have yet to vanish from the files of the index."""

from collections.abc import Collection
from typing import Protocol

from libs.kernel.ids import TenantId
from services.ediscovery.domain.documents import DocumentKey


class DueExpunges(Protocol):
    """Notes it, in the transaction that takes in the event."""

    async def add(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        """Note these; what is noted already stays."""
        ...


class Expunges(Protocol):
    """Tells of it until it is done."""

    async def tenants(self) -> list[TenantId]:
        """Return the tenants of whom something is due."""
        ...

    async def due(self, tenant: TenantId, limit: int) -> list[DocumentKey]:
        """Return what is due of a tenant."""
        ...

    async def done(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        """Forget these: their words are gone."""
        ...
