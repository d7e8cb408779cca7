"""What certificates need: the books that they are kept in, what was destroyed, a key, a place in the log."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from libs.approvals.request import Request
from libs.evidence.certificate.items import DestroyedLine
from libs.kernel.ids import TenantId
from services.retention.domain.orders import Issued, Standing
from services.retention.ports.books import Outgoing


class Place(NamedTuple):
    """Where an item lies."""

    conversation: UUID
    seq: int


class KeptSegment(NamedTuple):
    """A segment that is written, without its lines: where its last item lies, its hash and its size."""

    number: int
    items: int
    last: Place
    sha256: bytes
    size: int


class NewSegment(NamedTuple):
    """A segment as it is written: its lines, and what they add up to."""

    number: int
    items: int
    last: Place
    last_destroyed_at: datetime
    destroyed_bytes: int
    deks: tuple[UUID, ...]
    sha256: bytes
    body: bytes


class Totals(NamedTuple):
    """What all segments add up to; `unshredded` of their data keys were not confirmed as shredded."""

    items: int
    destroyed_bytes: int
    deks: int
    unshredded: int
    last_destroyed_at: datetime | None


class KeptCertificate(NamedTuple):
    """A certificate as it was issued: what it states, and the note that signs it."""

    certificate: UUID
    issued: Issued
    items: int
    destroyed_bytes: int
    deks: int
    statement: bytes
    note: bytes


class CertificateBook(Protocol):
    """The certificates of a tenant within one transaction. What is written is never changed."""

    async def find_order(self, order: UUID) -> Standing | None:
        """Return an order as it stands."""
        ...

    async def find_request(self, dry_run: UUID) -> Request | None:
        """Return the newest request to carry out the result of a dry run."""
        ...

    async def segments(self, certificate: UUID) -> list[KeptSegment]:
        """Return the segments that are written, in order."""
        ...

    async def segment(self, certificate: UUID, number: int) -> bytes:
        """Return the lines of a segment that is written."""
        ...

    async def add_segment(self, certificate: UUID, segment: NewSegment, at: datetime) -> bool:
        """Write a segment; False if somebody else did."""
        ...

    async def totals(self, certificate: UUID) -> Totals:
        """Return what the segments add up to."""
        ...

    async def add(self, kept: KeptCertificate) -> bool:
        """Write a certificate; False if somebody else did."""
        ...

    async def find(self, certificate: UUID) -> KeptCertificate | None:
        """Return a certificate that was issued."""
        ...

    async def issued(self, after: UUID | None, limit: int) -> list[KeptCertificate]:
        """Return certificates, the newest first, from behind `after` on; without what they state."""
        ...

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Append to the outbox: the last statement of the transaction."""
        ...


class CertificateBooks(Protocol):
    """Begins transactions; each commits when its block ends without an error."""

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[CertificateBook]:
        """Begin a transaction of one tenant."""
        ...


class DueCertificates(Protocol):
    """The runs of all tenants that destroyed something and have no certificate yet."""

    async def waiting(self) -> list[tuple[TenantId, UUID]]:
        """Return them, each tenant's oldest first."""
        ...


class Confirmations(Protocol):
    """What stores confirm, within the transaction of a projector."""

    async def is_run(self, tenant: TenantId, order: UUID) -> bool:
        """Say whether an order was given to be carried out."""
        ...

    async def add_items(
        self, tenant: TenantId, store: str, order: UUID, event: UUID, items: int, at: datetime
    ) -> None:
        """Keep that a store has let go of so many more items; a repeat changes nothing."""
        ...

    async def add_deks(
        self, tenant: TenantId, order: UUID, deks: Sequence[UUID], unrecoverable_after: datetime, at: datetime
    ) -> None:
        """Keep that these data keys are shredded; a repeat changes nothing."""
        ...


class Destroyed(Protocol):
    """What a run destroyed, where it was destroyed."""

    async def page(
        self, tenant: TenantId, order: UUID, after: Place | None, limit: int
    ) -> Sequence[DestroyedLine]:
        """Return at most `limit` items in order, from behind `after` on. Raises CertificateUnavailable."""
        ...


class Signer(Protocol):
    """A key that signs."""

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        ...


class CertificateKey(Protocol):
    """The key that signs certificates at present."""

    async def find_signer(self) -> Signer | None:
        """Return a signer, None while there is no key."""
        ...


class Proofs(Protocol):
    """The audit log."""

    async def bundle(self, tenant: TenantId, certificate: UUID) -> bytes:
        """Return the evidence that it names a certificate.

        Raises CertificateUnavailable until a checkpoint covers it.
        """
        ...
