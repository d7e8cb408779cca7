"""The books of eDiscovery, in transactions of one tenant that the use cases own."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from libs.kernel.denials import Denial
from libs.kernel.ids import PrincipalId, TenantId
from services.ediscovery.domain.documents import DocumentKey
from services.ediscovery.domain.matters import Matter
from services.ediscovery.ports.productions import Shelf


class Outgoing(Protocol):
    """Something to publish; every event of `libs.contracts.events` is one."""

    @property
    def name(self) -> str:
        """The event's name."""
        ...


class Member(NamedTuple):
    """Who looks into a matter, and who made him."""

    principal: PrincipalId
    added_by: PrincipalId
    added_at: datetime


class SearchMade(NamedTuple):
    """One page of a search; the text of the query stays here."""

    act: UUID
    matter: UUID
    by: PrincipalId
    query: str
    hits: int
    at: datetime


class MessageViewed(NamedTuple):
    """Somebody looked at a whole message."""

    act: UUID
    matter: UUID
    by: PrincipalId
    key: DocumentKey
    at: datetime


class Book(Protocol):
    """One tenant's books within one transaction. What is in them is added, and never changed."""

    @property
    def productions(self) -> Shelf:
        """The productions, within the same transaction."""
        ...

    async def add_matter(self, matter: Matter) -> bool:
        """Keep a matter; False if its id was used before."""
        ...

    async def find_matter(self, matter: UUID) -> Matter | None:
        """Return a matter."""
        ...

    async def matters_of(self, member: PrincipalId, after: UUID | None, limit: int) -> list[Matter]:
        """Return the matters of which somebody is a member, the newest first, from behind `after` on."""
        ...

    async def members(self, matter: UUID) -> list[Member]:
        """Return the members of a matter, in the order in which they were added."""
        ...

    async def add_member(self, matter: UUID, act: UUID, member: Member) -> bool:
        """Keep a member; False if he is one already."""
        ...

    async def record_search(self, made: SearchMade) -> None:
        """Keep that a search was made."""
        ...

    async def record_view(self, viewed: MessageViewed) -> None:
        """Keep that a message was looked at."""
        ...

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
