"""The register of holds, in transactions of one tenant that the use cases own; and the policies."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from libs.approvals.ports import Requests
from libs.kernel.denials import Denial
from libs.kernel.ids import TenantId
from services.holds.domain.holds import Hold, Progress, Release, Standing


class Outgoing(Protocol):
    """Something to publish; every event of `libs.contracts.events` is one."""

    @property
    def name(self) -> str:
        """The event's name."""
        ...


class Register(Protocol):
    """One tenant's holds within one transaction."""

    @property
    def requests(self) -> Requests:
        """The requests for releases."""
        ...

    async def lock_generation(self) -> int:
        """Return the tenant's generation, held to the commit: one change of its holds at a time."""
        ...

    async def raise_generation(self, generation: int) -> None:
        """Set the generation, which is locked."""
        ...

    async def find(self, hold: UUID) -> Standing | None:
        """Return a hold with what has become of it."""
        ...

    async def listed(self, after: UUID | None, limit: int) -> list[Standing]:
        """Return holds, the newest first, from behind `after` on."""
        ...

    async def progress(self) -> Progress:
        """Return the generation, and how far each executor has come."""
        ...

    async def add(self, hold: Hold) -> None:
        """Keep a new hold; one with notice makes a notice due for each custodian."""
        ...

    async def end(self, hold: UUID, release: Release) -> None:
        """Keep the end of a hold. The generation is locked, and the hold known not to have ended."""
        ...

    async def record_denials(self, denials: Sequence[tuple[UUID, Denial]]) -> None:
        """Keep denials, each under its id."""
        ...

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Append to the outbox: the last statement of the transaction."""
        ...


class Registers(Protocol):
    """Begins transactions; each commits when its block ends without an error."""

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[Register]:
        """Begin a transaction of one tenant. Raises HoldsUnavailable."""
        ...


class Confirmed(NamedTuple):
    """An executor's word that it preserves what its tenant's holds of `generation` preserve."""

    tenant: TenantId
    executor: str
    generation: int


class Confirmations(Protocol):
    """What executors confirmed, within the transaction of a projector."""

    async def lock_generations(self, tenants: Collection[TenantId]) -> dict[TenantId, int]:
        """Return the generations, locked in the order of the tenants; a tenant without one is left out."""
        ...

    async def add(self, confirmed: Confirmed, at: datetime) -> None:
        """Keep a confirmation; one that was kept before stays as it is."""
        ...

    async def highest(self, tenant: TenantId) -> dict[str, int]:
        """Return the highest generation that each executor confirmed."""
        ...

    async def put_in_force(self, tenant: TenantId, generation: int, at: datetime) -> list[UUID]:
        """Note that the unreleased holds up to `generation` are in force; return those that were not yet."""
        ...

    async def publish(self, events: Sequence[tuple[TenantId, Outgoing]]) -> None:
        """Append to the outbox: the last statement before the projector's own."""
        ...


class Waiting(NamedTuple):
    """How many unreleased holds an executor has not confirmed, and when the oldest of them was placed."""

    executor: str
    holds: int
    since: datetime | None


class WaitingHolds(Protocol):
    """Looks over the holds of all tenants."""

    async def waiting(self) -> list[Waiting]:
        """Return what each executor owes. Raises HoldsUnavailable."""
        ...


class Signs(Protocol):
    """Shows what executors owe."""

    def waits(self, waiting: Waiting, seconds: float) -> None:
        """Show for how long the oldest hold has been waiting for an executor (0: none waits)."""
        ...
