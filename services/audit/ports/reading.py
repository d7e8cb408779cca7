"""What reading a log needs: a tenant's transaction, and the policies."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from libs.kernel.denials import Denial
from libs.kernel.ids import TenantId
from libs.merkle.tiles import TileAt
from services.audit.domain.reading import (
    Criteria,
    FoundAct,
    FoundEntry,
    Page,
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

    async def find_checkpoint(self, size: int | None = None) -> PublishedCheckpoint | None:
        """Return the checkpoint of that size, or the largest; None when there is none."""
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

    async def details(self, first: int, last: int, shown: Collection[str]) -> dict[int, StoredDetail]:
        """Return what the entries from `first` to `last` tell, of the classes `shown` alone."""
        ...

    async def acts(
        self, source: str, actions: Collection[str], acts: Collection[UUID], size: int
    ) -> list[FoundAct]:
        """Return those of `acts` that `source` told of, by index below `size`, of these kinds alone.

        An act is found by the entity that it made: that has its id.
        """
        ...

    async def find_index(self, fact: UUID, shown: Collection[str], size: int) -> int | None:
        """Return the index, below `size`, of the entry of a fact, if its class is one of `shown`."""
        ...

    async def find_index_naming(
        self, kind: str, entity: str, shown: Collection[str], size: int
    ) -> int | None:
        """Return the index, below `size`, of the first entry of the classes `shown` that names an entity."""
        ...

    async def search(self, wanted: Criteria, shown: Collection[str], page: Page) -> list[FoundEntry]:
        """Return entries of the classes `shown` that match."""
        ...


class Transaction(Protocol):
    """A tenant's transaction: it commits when its block ends, and not if that raises."""

    @property
    def log(self) -> LogReader:
        """The tenant's log."""
        ...

    async def record_readings(self, readings: Sequence[tuple[Reading, Fact]]) -> None:
        """Keep reads and publish their facts: the last thing in a transaction, for it locks the outbox."""
        ...

    async def record_denials(self, denials: Sequence[tuple[UUID, Denial, Fact]]) -> None:
        """Keep denials and publish their facts: the last thing in a transaction."""
        ...


class Database(Protocol):
    """Begins transactions."""

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[Transaction]:
        """Begin a transaction of one tenant."""
        ...
