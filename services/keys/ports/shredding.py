"""The rows that are shredded, and what is told of them, within the transaction of a projector."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from libs.kernel.ids import DekId, TenantId


class Told(Protocol):
    """What is told; `libs.contracts.retention` has its events."""

    @property
    def name(self) -> str:
        """The event's name."""
        ...


class Shredding(Protocol):
    """Shreds keys of any tenant; what it tells leaves when the transaction commits."""

    async def share(self, tenant: TenantId) -> int:
        """Share the tenant's generation of holds to the commit, and return it: call it first."""
        ...

    async def is_stopped(self, tenant: TenantId) -> bool:
        """Say whether an event of the tenant is parked: it may be a hold, and nothing is destroyed."""
        ...

    async def missing(self, tenant: TenantId, deks: Sequence[DekId]) -> int:
        """Return how many of these the tenant never had."""
        ...

    async def shred(
        self,
        tenant: TenantId,
        order: UUID,
        generation: int,
        deks: Sequence[DekId],
        at: datetime,
        unrecoverable_after: datetime,
    ) -> list[DekId]:
        """Shred keys, each once, and return those of which this order has not been told before."""
        ...

    def tell(self, tenant: TenantId, event: Told) -> None:
        """Let an event leave with the transaction."""
        ...


class Wiping(Protocol):
    """Wipes the bytes of shredded keys out of the table's file."""

    async def is_due(self) -> bool:
        """Say whether keys were shredded since it was last done. Raises DatabaseUnavailable."""
        ...

    async def wipe(self) -> None:
        """Write the table anew. Raises DatabaseUnavailable, and WipingPutOff while somebody reads on."""
        ...
