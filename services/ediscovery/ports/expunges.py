"""What was destroyed, and whose words have yet to vanish from the files of the index."""

from collections.abc import Awaitable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from libs.kernel.ids import TenantId
from services.ediscovery.domain.documents import DocumentKey
from services.ediscovery.ports.books import Outgoing


class Destruction(NamedTuple):
    """By which order something was destroyed, and behind the holds of which generation."""

    order: UUID
    generation: int


class ItemsExpunged(NamedTuple):
    """The words of so many items of an order are gone."""

    act: UUID
    order: UUID
    items: int
    at: datetime


class DueExpunges(Protocol):
    """Notes it, in the transaction that takes in the event."""

    async def add(self, tenant: TenantId, by: Destruction, keys: Collection[DocumentKey]) -> None:
        """Note these; what is noted already stays."""
        ...


class ExpungeUnderWay(Protocol):
    """One transaction, which has passed the barrier: no hold is confirmed here before it has ended."""

    async def due(self, limit: int) -> list[DocumentKey]:
        """Return what is due, of orders that know of no hold that has not arrived here."""
        ...

    async def alive_during(self, work: Awaitable[None]) -> None:
        """Wait for `work`, and see to it that the transaction is not ended meanwhile for idling."""
        ...

    async def forget(self, keys: Collection[DocumentKey]) -> Mapping[UUID, int]:
        """Forget these, and return how many each order had; those of no known order count for none."""
        ...

    async def record(self, expunged: ItemsExpunged) -> None:
        """Keep that words are gone."""
        ...

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Append to the outbox: the last statement of the transaction."""
        ...


class Expunges(Protocol):
    """Tells of it until it is done."""

    async def tenants(self) -> Mapping[TenantId, int]:
        """Return the tenants of whom something is due, with how much."""
        ...

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[ExpungeUnderWay]:
        """Pass the barrier. Raises ExpungesStopped."""
        ...
