"""What is noted of each tenant's index beside the index itself, and how it is made anew."""

from collections.abc import Awaitable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from libs.kernel.ids import ConversationId, TenantId
from services.ediscovery.domain.documents import DocumentKey
from services.ediscovery.domain.wholeness import Noted
from services.ediscovery.ports.books import Outgoing


class Rebuild(NamedTuple):
    """An index that is made anew, in `generation`: up to which entry of the log, and how many that were.

    `lost` says that there is no other to search in meanwhile.
    """

    tenant: TenantId
    act: UUID
    generation: int
    lost: bool
    begun_at: datetime
    entries: int = 0
    done: int = 0
    conversation: ConversationId | None = None
    seq: int = 0
    periods: frozenset[str] = frozenset()
    ended_at: datetime | None = None


class Touched(NamedTuple):
    """A message of which something was told while an index was made anew."""

    number: int
    key: DocumentKey


class LogPage(NamedTuple):
    """The next entries of a tenant's log; `entries` are all that there are."""

    keys: Sequence[DocumentKey]
    entries: int


class Notes(Protocol):
    """Reads what is noted of an index."""

    async def noted(self, tenant: TenantId) -> Noted:
        """Return it."""
        ...


class NotesUnderWay(Protocol):
    """Reads and writes it in the transaction that takes in events."""

    async def locked(self, tenants: Collection[TenantId]) -> Mapping[TenantId, Noted]:
        """Return it, locked to the end of the transaction."""
        ...

    async def lose(self, tenant: TenantId, at: datetime) -> None:
        """Note that the index is lost; it is made anew soon."""
        ...

    async def touch(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        """Note of which messages something is told."""
        ...

    async def follow(self, tenant: TenantId, positions: Mapping[str, int], periods: Collection[str]) -> None:
        """Note how far the index follows, and of which months it has something."""
        ...


class Swap(Protocol):
    """The transaction in which a new index takes the place of the old one; nothing is indexed meanwhile."""

    async def noted(self) -> Noted:
        """Return what is noted."""
        ...

    async def touched(self) -> list[DocumentKey]:
        """Return of which messages something was told that the new index has not been told."""
        ...

    async def alive_during(self, work: Awaitable[None]) -> None:
        """Wait for `work`, and see to it that the transaction is not ended meanwhile for idling."""
        ...

    async def end(self, act: UUID, periods: Collection[str], at: datetime) -> None:
        """Let the new index be the one that counts."""
        ...

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Append to the outbox: the last statement of the transaction."""
        ...


class Rebuilds(Protocol):
    """The indexes that are made anew."""

    async def begin(
        self, tenant: TenantId, act: UUID, at: datetime, told: Sequence[Outgoing], *, lost: bool
    ) -> bool:
        """Begin one, and tell of it; False if one is under way."""
        ...

    async def under_way(self) -> list[Rebuild]:
        """Return those that have not ended, oldest first."""
        ...

    async def newest(self) -> list[Rebuild]:
        """Return the newest of each tenant."""
        ...

    async def tenants(self) -> list[TenantId]:
        """Return the tenants of whose indexes something is noted."""
        ...

    async def record_dropped(
        self, tenant: TenantId, act: UUID, at: datetime, told: Sequence[Outgoing]
    ) -> None:
        """Keep that an index was dropped, and tell of it."""
        ...

    async def advance(self, rebuild: Rebuild) -> None:
        """Note how far it has come."""
        ...

    async def touched(self, tenant: TenantId, limit: int) -> list[Touched]:
        """Return of which messages something was told meanwhile, in order."""
        ...

    async def untouch(self, tenant: TenantId, touched: Collection[Touched]) -> None:
        """Forget these."""
        ...

    def swap(self, rebuild: Rebuild) -> AbstractAsyncContextManager[Swap]:
        """Begin the transaction in which it ends."""
        ...

    async def leftovers(self) -> list[tuple[TenantId, int]]:
        """Return the generations of indexes that were replaced, and whose files are still there."""
        ...

    async def forget_leftover(self, tenant: TenantId) -> None:
        """Note that they are gone."""
        ...


class KeysRefused(Protocol):
    """Knows whose key the vault refuses."""

    async def refused(self, tenants: Collection[TenantId]) -> Collection[TenantId]:
        """Return those of the tenants. Raises CorrespondenceUnavailable: then nothing is known of any."""
        ...


class LossSigns(Protocol):
    """Says loudly that an index is lost."""

    def is_lost(self, tenant: TenantId) -> None:
        """Say so."""
        ...


class LogPages(Protocol):
    """The log of a tenant, from its beginning to its end."""

    async def page(
        self, tenant: TenantId, conversation: ConversationId | None, seq: int, limit: int
    ) -> LogPage:
        """Return the entries behind one, in order; none at the end. Raises CorrespondenceUnavailable."""
        ...
