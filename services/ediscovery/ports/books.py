"""The books of eDiscovery, in transactions of one tenant that the use cases own."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from libs.kernel.denials import Denial
from libs.kernel.ids import TenantId


class Outgoing(Protocol):
    """Something to publish; every event of `libs.contracts.events` is one."""

    @property
    def name(self) -> str:
        """The event's name."""
        ...


class Book(Protocol):
    """One tenant's books within one transaction."""

    async def record_denials(self, denials: Sequence[tuple[UUID, Denial]]) -> None:
        """Keep denials, each under its id."""
        ...

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Append to the outbox: the last statement of the transaction."""
        ...


class Books(Protocol):
    """Begins transactions; each commits when its block ends without an error."""

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[Book]:
        """Begin a transaction of one tenant."""
        ...
