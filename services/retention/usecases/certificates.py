"""Read certificates: which there are, how far one is, and one as a file that is checked without us."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from libs.evidence.certificate.statement import LOG, NOTE, STATEMENT, segment_path
from libs.evidence.zipping import Zipping
from libs.kernel.actors import Actor
from libs.kernel.ids import TenantId
from services.retention.domain.access import READ
from services.retention.domain.certificates import certificate_of
from services.retention.domain.errors import RetentionNotFound
from services.retention.domain.orders import Standing
from services.retention.ports.certificates import CertificateBooks, KeptCertificate, Proofs
from services.retention.usecases.access import Access


class CertificatePage(NamedTuple):
    """Certificates, the newest first; `after` is where the next page begins, None on the last."""

    certificates: Sequence[KeptCertificate]
    after: UUID | None


class Shown(NamedTuple):
    """A run, and its certificate if that was issued."""

    standing: Standing
    kept: KeptCertificate | None


@dataclass(frozen=True, slots=True)
class Certificates:
    """The certificates of a tenant; every one of these raises RetentionNotFound where the actor may not."""

    books: CertificateBooks
    access: Access
    proofs: Proofs

    async def listed(self, actor: Actor, after: UUID | None, limit: int) -> CertificatePage:
        """Return at most `limit` certificates from behind `after` on."""
        self.access.access(actor, READ)
        async with self.books.begin(actor.tenant) as book:
            found = await book.issued(after, limit)
        return CertificatePage(found, found[-1].certificate if len(found) == limit else None)

    async def get(self, actor: Actor, certificate: UUID) -> Shown:
        """Return how far the certificate of a run is; it has the run's id."""
        self.access.access(actor, READ)
        async with self.books.begin(actor.tenant) as book:
            standing = await book.find_order(certificate)
            if standing is None or certificate_of(standing) is None:
                raise RetentionNotFound("certificate")
            return Shown(standing, await book.find(certificate))

    async def download(self, actor: Actor, certificate: UUID) -> AsyncIterator[bytes]:
        """Return the pieces of the zip of a certificate; its place in the log is looked up first.

        Raises CertificateUnavailable until a checkpoint of the log covers it: that takes about a second.
        """
        self.access.access(actor, READ)
        async with self.books.begin(actor.tenant) as book:
            kept = await book.find(certificate)
            if kept is None:
                raise RetentionNotFound("certificate")
            segments = [each.number for each in await book.segments(certificate)]
        logged = await self.proofs.bundle(actor.tenant, certificate)
        return self._pieces(actor.tenant, kept, segments, logged)

    async def _pieces(
        self, tenant: TenantId, kept: KeptCertificate, segments: Sequence[int], logged: bytes
    ) -> AsyncIterator[bytes]:
        """Give the zip; a segment is in memory at a time."""
        zipping = Zipping()
        yield zipping.whole(STATEMENT, kept.statement)
        yield zipping.whole(NOTE, kept.note)
        for number in segments:
            async with self.books.begin(tenant) as book:
                body = await book.segment(kept.certificate, number)
            yield zipping.whole(segment_path(number), body)
        yield zipping.whole(LOG, logged)
        yield zipping.end()
