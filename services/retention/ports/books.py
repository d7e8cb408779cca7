"""The books of retention, in transactions of one tenant that the use cases own."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from libs.approvals.ports import Requests
from libs.kernel.denials import Denial
from libs.kernel.ids import TenantId
from services.retention.domain.orders import Answer, Completion, Order, Standing
from services.retention.domain.rules import ErasureRequest, LockVersion, RuleVersion


class Outgoing(Protocol):
    """Something to publish; every event of `libs.contracts.events` is one."""

    @property
    def name(self) -> str:
        """The event's name."""
        ...


class Book(Protocol):
    """What one tenant's retention is, within one transaction. Versions are added, and never changed."""

    @property
    def requests(self) -> Requests:
        """The requests for runs."""
        ...

    async def rules(self) -> list[RuleVersion]:
        """Return the newest version of every rule, in the order of their ids."""
        ...

    async def versions(self, rule: UUID) -> list[RuleVersion]:
        """Return every version of a rule, the newest last; none if there is no such rule."""
        ...

    async def add_rule(self, version: RuleVersion) -> bool:
        """Keep a version; False if somebody else made that version first."""
        ...

    async def locks(self) -> list[LockVersion]:
        """Return the newest version of every lock, in the order of their ids."""
        ...

    async def find_lock(self, lock: UUID) -> LockVersion | None:
        """Return the newest version of a lock."""
        ...

    async def add_lock(self, version: LockVersion) -> bool:
        """Keep a version; False if somebody else made that version first."""
        ...

    async def erasures(self) -> list[ErasureRequest]:
        """Return the requests for erasure, in the order of their ids."""
        ...

    async def add_erasure(self, request: ErasureRequest) -> None:
        """Keep a request."""
        ...

    async def find_order(self, order: UUID) -> Standing | None:
        """Return an order with its answers."""
        ...

    async def orders(self, after: UUID | None, limit: int) -> list[Standing]:
        """Return orders, the newest first, from behind `after` on."""
        ...

    async def add_order(self, order: Order) -> None:
        """Keep an order."""
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


class Answers(Protocol):
    """What executors answered, within the transaction of a projector."""

    async def find_order(self, tenant: TenantId, order: UUID) -> Order | None:
        """Return the order that is answered."""
        ...

    async def add(self, tenant: TenantId, order: UUID, answer: Answer) -> bool:
        """Keep an answer; False for one that was kept before."""
        ...

    async def complete(self, tenant: TenantId, order: UUID, completion: Completion) -> bool:
        """Keep what an executor did; False for what was kept before."""
        ...

    async def publish(self, tenant: TenantId, events: Sequence[Outgoing]) -> None:
        """Append to the outbox: the last statement before the projector's own."""
        ...
