"""What reading a log needs: a tenant's transaction, the policies, and the sources that acts come from."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

from libs.kernel.denials import Denial
from libs.kernel.ids import PrincipalId, TenantId
from libs.merkle.tiles import TileAt
from services.audit.domain.reading import (
    Actor,
    CountedActs,
    Criteria,
    Disagreement,
    Facts,
    FoundEntry,
    PublishedCheckpoint,
    Reading,
    StoredDetail,
)


class Permissions(Protocol):
    """Decides by the policies."""

    def allows(self, actor: Actor, action: str, resource: Facts) -> bool:
        """Return whether `actor` may do `action` to `resource`."""
        ...


class DenialCount(Protocol):
    """Counts denials, to be told of by the minute."""

    def note(self, tenant: TenantId, principal: PrincipalId | None, act: str) -> None:
        """Count one."""
        ...

    def take_due(self, *, everything: bool = False) -> list[Denial]:
        """Take out those whose minute is over."""
        ...

    def put_back(self, denials: list[Denial]) -> None:
        """Count again what could not be written."""
        ...


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


class Standing(NamedTuple):
    """A log's tenant and the number of its entries."""

    tenant: TenantId
    size: int


@dataclass(frozen=True, slots=True)
class PlacedLeaf:
    """A leaf as it is stored, at its index."""

    index: int
    leaf: bytes


class Books(Protocol):
    """The logs of all tenants, to be counted."""

    async def cursors(self, source: str) -> dict[int, int]:
        """Return by partition the position of `source` up to which its facts are entries."""
        ...

    async def details_counted(
        self, source: str, positions: Mapping[int, int]
    ) -> dict[tuple[TenantId, str], int]:
        """Return the number of details by tenant and action whose facts lie within `positions`."""
        ...

    async def logs(self) -> list[Standing]:
        """Return every log."""
        ...

    async def leaves(self, tenant: TenantId, first: int, count: int) -> list[PlacedLeaf]:
        """Return up to `count` leaves of a log from the index `first` on, in order."""
        ...


class ActsOfSource(Protocol):
    """A source of facts that counts its acts."""

    async def acts(self) -> CountedActs:
        """Return its acts by its domain rows, and its outbox's heads of the same snapshot."""
        ...


class Alarm(Protocol):
    """Tells whoever runs the platform."""

    def ring(self, disagreements: Sequence[Disagreement]) -> None:
        """Say which acts and entries disagree; none ends the alarm."""
        ...
