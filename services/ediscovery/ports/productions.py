"""What a production is made from, where it is made, and who signs it."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import UUID

from libs.approvals.request import Request
from libs.kernel.ids import PrincipalId, TenantId
from services.ediscovery.domain.productions.items import Person
from services.ediscovery.domain.productions.orders import Failure, Made, Order, Removal, Standing
from services.ediscovery.domain.productions.sources import CommittedMap, Head, LoggedEntry, Proofs
from services.ediscovery.domain.texts import Purpose

MOST_ENTRIES = 500
"""Entries, conversations and acts of one question."""


class Download(NamedTuple):
    """Somebody was given a production."""

    act: UUID
    production: UUID
    by: PrincipalId
    at: datetime


class Sources(Protocol):
    """Everything that a production is made from.

    Every method raises CorrespondenceUnavailable when that cannot be had now.
    """

    async def map(self, tenant: TenantId) -> CommittedMap:
        """Return what is committed about all conversations of a tenant; it is as new as the question."""
        ...

    async def heads(self, tenant: TenantId, act: UUID, after: UUID | None) -> list[Head]:
        """Return the next conversations of the map `act`, at most MOST_ENTRIES, by ascending id."""
        ...

    async def entries(
        self, tenant: TenantId, conversation: UUID, first: int, last: int, purpose: Purpose
    ) -> list[LoggedEntry]:
        """Return those of the entries `first` to `last`, at most MOST_ENTRIES, that are there, in order.

        Raises KeyRefused, too.
        """
        ...

    async def proofs(self, tenant: TenantId, acts: Collection[UUID], size: int | None) -> Proofs:
        """Return the leaves of at most MOST_ENTRIES acts of messaging under a checkpoint.

        `size` is that of a published checkpoint, None for the newest.
        """
        ...

    async def people(self, tenant: TenantId, principals: Collection[UUID]) -> dict[UUID, Person]:
        """Return those of the people whom the directory knows."""
        ...


class Bench(Protocol):
    """Where one production is made. What is written stays, whatever happens to the process."""

    @property
    def folder(self) -> Path:
        """The folder of the production."""
        ...

    def find_plan(self) -> bytes | None:
        """Return the plan that was kept, None where the production is not begun."""
        ...

    def keep_plan(self, plan: bytes) -> None:
        """Begin anew with this plan: whatever was written is gone."""
        ...

    def drop_plan(self) -> None:
        """Forget the plan: the production begins anew."""
        ...

    def segments(self) -> Iterator[tuple[str, bytes]]:
        """Give the segments of the parts that are whole."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Write a file of the production."""
        ...

    def finish(self) -> None:
        """Return when everything is on the disk."""
        ...

    def remove(self) -> None:
        """Remove everything, made or not."""
        ...


class Workshop(Protocol):
    """Has a bench for each production."""

    def bench(self, tenant: TenantId, production: UUID) -> Bench:
        """Return the bench of a production, made or not."""
        ...


class Signer(Protocol):
    """Signs with one key."""

    @property
    def public(self) -> bytes:
        """The public key (32 bytes)."""
        ...

    @property
    def sign(self) -> Callable[[bytes], bytes]:
        """What returns the signature (64 bytes) of a text."""
        ...


class ProductionKey(Protocol):
    """The key that signs productions."""

    async def find_signer(self) -> Signer | None:
        """Return who signs now, None while there is no key."""
        ...


class Shelf(Protocol):
    """The productions of one tenant within one transaction. What is kept is never changed."""

    async def add(self, order: Order, request: Request) -> None:
        """Keep a production that is asked for, with its request.

        Raises ProductionConflict where the id was used before; then the transaction keeps nothing.
        """
        ...

    async def find(self, production: UUID) -> Standing | None:
        """Return a production."""
        ...

    async def of_matter(self, matter: UUID, after: UUID | None, limit: int) -> list[Standing]:
        """Return the productions of a matter, the newest first, from behind `after` on."""
        ...

    async def get_request(self, request: UUID) -> Request:
        """Return a request. Raises RequestNotFound."""
        ...

    async def requests(self, limit: int) -> list[Request]:
        """Return the newest requests, the newest first."""
        ...

    async def decide(
        self, request: UUID, approver: PrincipalId, digest: bytes, now: datetime, *, approves: bool
    ) -> Request:
        """Approve or refuse. Raises what `libs.approvals.request.decide_decision` raises."""
        ...

    async def use(self, request: Request, order: Order, digest: bytes, now: datetime) -> Request:
        """Use an approval, and let the production be made. Raises what `decide_use` raises."""
        ...

    async def end(self, order: Order, outcome: Made | Failure) -> bool:
        """Keep what came of a production, which is made no more; False where that is known already."""
        ...

    async def record_removal(self, production: UUID, removal: Removal) -> bool:
        """Keep that the files of a production are removed; False where that is known already."""
        ...

    async def record_download(self, download: Download) -> None:
        """Keep that somebody was given a production."""
        ...


class Queue(Protocol):
    """What is to be made, of every tenant."""

    async def due(self) -> list[tuple[TenantId, UUID]]:
        """Return the productions that are approved and not made, the oldest first."""
        ...

    async def made_before(self, moment: datetime) -> list[tuple[TenantId, UUID]]:
        """Return the productions that were made before a moment and are still there, the oldest first."""
        ...
