"""What reading a log needs: a tenant's transaction."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from libs.kernel.denials import Denial
from libs.kernel.ids import TenantId
from libs.merkle.tiles import TileAt
from services.audit.domain.reading import (
    Criteria,
    FoundEntry,
    PublishedCheckpoint,
    Reading,
    StoredDetail,
)


class Fact(Protocol):
    """Something to publish; every event of `libs.contracts.events` is one."""

    @property
    def name(self) -> str:
        """The event's name."""
        ...


class LogReader(Protocol):
    """One log as it was published, and what its entries tell."""

    async def find_checkpoint(self) -> PublishedCheckpoint | None:
        """Return the largest checkpoint, None before the first."""
        ...

    async def checkpoints(self, after: int, limit: int) -> list[PublishedCheckpoint]:
        """Return the checkpoints of sizes beyond `after`, smallest first."""
        ...

    async def leaves(self, first: int, count: int) -> list[bytes]:
        """Return up to `count` leaves from the index `first` on, in order and without a gap."""
        ...

    async def tiles(self, wanted: Collection[TileAt]) -> Mapping[TileAt, bytes]:
        """Return these tiles. Raises LogDamaged when one that must be there is not."""
        ...

    async def size(self) -> int:
        """Return how many entries have an index."""
        ...

    async def details(self, first: int, last: int, shown: Collection[str]) -> dict[int, StoredDetail]:
        """Return what the entries from `first` to `last` tell, of the classes `shown` alone."""
        ...

    async def find_index(self, fact: UUID, shown: Collection[str]) -> int | None:
        """Return the index of the entry of a fact, if its class is one of `shown`."""
        ...

    async def search(
        self, wanted: Criteria, shown: Collection[str], beyond: int | None, limit: int, *, newest_first: bool
    ) -> list[FoundEntry]:
        """Return entries of the classes `shown` that match, in order from beyond an index."""
        ...


class Transaction(Protocol):
    """A tenant's transaction: it commits when its block ends, and not if that raises."""

    @property
    def log(self) -> LogReader:
        """The tenant's log."""
        ...

    async def record_reading(self, reading: Reading, fact: Fact) -> None:
        """Keep a read and publish its fact: the last thing in a transaction, for it locks the outbox."""
        ...

    async def record_denials(self, denials: Sequence[tuple[UUID, Denial, Fact]]) -> None:
        """Keep denials and publish their facts: the last thing in a transaction."""
        ...


class Database(Protocol):
    """Begins transactions."""

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[Transaction]:
        """Begin a transaction of one tenant."""
        ...
