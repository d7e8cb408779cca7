"""Make the certificate of a run when every store has confirmed: segment by segment, then signed, once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.approvals.request import Request
from libs.approvals.request import State as RequestState
from libs.contracts.retention import (
    RUN,
    ClassFound,
    DeksShredded,
    ItemsExpunged,
    OrderAnswered,
    result_object,
)
from libs.evidence.certificate.items import DestroyedLine, item_line
from libs.evidence.certificate.statement import (
    Approval,
    Confirmation,
    Counts,
    Statement,
    refs_of,
    sign_statement,
)
from libs.evidence.errors import EvidenceRefused
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.retention.domain.certificates import RUNNER, STORES, Counted, State, certificate_of
from services.retention.domain.errors import AnswerForeign, CertificateDiffers, CertificateUnavailable
from services.retention.domain.orders import Issued, Standing, result_of
from services.retention.ports.certificates import (
    CertificateBook,
    CertificateBooks,
    CertificateKey,
    Confirmations,
    Destroyed,
    DueCertificates,
    KeptCertificate,
    KeptSegment,
    NewSegment,
    Place,
    Totals,
)
from services.retention.usecases.told import fact_of_certificate, terms_of

CERTIFY_SECONDS: Final = 1.0
"""How often it is looked for runs whose certificate is due."""
SEGMENT_ITEMS: Final = 2000
"""Items of one segment: so many are in memory at a time."""


@dataclass(frozen=True, slots=True)
class Certify:
    """Makes the certificates that are due, and goes on with those that were cut off."""

    due: DueCertificates
    books: CertificateBooks
    destroyed: Destroyed
    key: CertificateKey
    instance: str
    clock: Clock
    ids: Ids
    segment_items: int = SEGMENT_ITEMS

    async def __call__(self) -> None:
        """Make every certificate that can be made. Raises the first failure when all had their turn."""
        failures: list[Exception] = []
        for tenant, order in await self.due.waiting():
            try:
                while await self.step(tenant, order):
                    pass
            except Exception as error:  # noqa: BLE001 - raised again below
                failures.append(error)
        for failure in failures[:1]:
            raise failure

    async def step(self, tenant: TenantId, order: UUID) -> bool:
        """Write the next segment, or issue the certificate; False when there is nothing more to do."""
        async with self.books.begin(tenant) as book:
            standing = await book.find_order(order)
            written = await book.segments(order)
        if standing is None or not _is_due(standing):
            return False
        after = written[-1].last if written else None
        items = await self.destroyed.page(tenant, order, after, self.segment_items)
        if not items:
            await self._issue(standing, written)
            return False
        async with self.books.begin(tenant) as book:
            return await book.add_segment(order, _segment(len(written) + 1, items), self.clock.now())

    async def _issue(self, standing: Standing, written: Sequence[KeptSegment]) -> None:
        """Sign what all segments add up to, and tell of it in the transaction in which it is written."""
        order = standing.order
        signer = await self.key.find_signer()
        if signer is None:
            raise CertificateUnavailable
        now = self.clock.now()
        async with self.books.begin(order.tenant) as book:
            totals = await book.totals(order.order)
            _refuse_difference(standing, totals)
            statement = await self._statement(book, standing, totals, written, now)
            try:
                data, note = sign_statement(self.instance, statement, signer.public, signer.sign)
            except EvidenceRefused as refused:
                raise CertificateDiffers(order.order, refused.reason) from None
            issued = Issued(now, hashlib.sha256(data).digest(), self.ids.uuid7())
            counted = (totals.items, totals.destroyed_bytes, totals.deks)
            kept = KeptCertificate(order.order, issued, *counted, data, note)
            if await book.add(kept):
                await book.publish([fact_of_certificate(order.order, issued)])

    async def _statement(
        self,
        book: CertificateBook,
        standing: Standing,
        totals: Totals,
        written: Sequence[KeptSegment],
        now: datetime,
    ) -> Statement:
        order, completion = standing.order, standing.completions[RUNNER]
        if order.dry_run is None or order.digest is None or order.generation is None:
            raise CertificateDiffers(order.order, "it names no result")
        tried = await book.find_order(order.dry_run)
        request = await book.find_request(order.dry_run)
        if tried is None or request is None or request.state(now) is not RequestState.USED:
            raise CertificateDiffers(order.order, "nobody approved it")
        confirmations = _confirmations(standing)
        ends = [each.unrecoverable_after for each in confirmations if each.unrecoverable_after]
        last = [each.at for each in confirmations]
        if totals.last_destroyed_at is not None:
            last.append(totals.last_destroyed_at)
        done = completion.done
        return Statement(
            certificate=order.order,
            tenant=order.tenant,
            made_at=now,
            ordered_at=order.issued_at,
            refused=completion.refused,
            dry_run=order.dry_run,
            digest=order.digest,
            result=result_object(order.tenant, terms_of(order.claims), order.generation, _classes_of(tried)),
            approvals=(_approval(request),),
            counts=Counts(done.destroyed, done.hidden, done.spared, done.bytes, done.deks),
            confirmations=confirmations,
            erased_live_at=max(last),
            unrecoverable_after=max(ends),
            segments=refs_of([(each.sha256, each.size, each.items) for each in written]),
        )


async def take_expunged(
    confirmations: Confirmations,
    tenant: TenantId,
    store: str,
    event: UUID,
    expunged: ItemsExpunged,
    at: datetime,
) -> None:
    """Keep that a store let go of items, within the transaction of a projector. Raises AnswerForeign."""
    if not await confirmations.is_run(tenant, expunged.order):
        raise AnswerForeign(expunged.order, f"it was never to be carried out by {store}")
    await confirmations.add_items(tenant, store, expunged.order, event, expunged.items, at)


async def take_shredded(
    confirmations: Confirmations, tenant: TenantId, shredded: DeksShredded, at: datetime
) -> None:
    """Keep that data keys are shredded, within the transaction of a projector. Raises AnswerForeign."""
    if not await confirmations.is_run(tenant, shredded.order):
        raise AnswerForeign(shredded.order, f"no key was to be shredded by a {RUN} of this name")
    await confirmations.add_deks(tenant, shredded.order, shredded.deks, shredded.unrecoverable_after, at)


def _is_due(standing: Standing) -> bool:
    certificate = certificate_of(standing)
    return certificate is not None and certificate.state is State.DUE


def _segment(number: int, items: Sequence[DestroyedLine]) -> NewSegment:
    body = b"".join(map(item_line, items))
    return NewSegment(
        number,
        len(items),
        Place(*items[-1].place),
        max(each.destroyed_at for each in items),
        sum(each.size for each in items),
        tuple(sorted({each.dek for each in items})),
        hashlib.sha256(body).digest(),
        body,
    )


def _refuse_difference(standing: Standing, totals: Totals) -> None:
    """Refuse to certify what the items do not show. Raises CertificateDiffers."""
    done = standing.completions[RUNNER].done
    if (totals.items, totals.destroyed_bytes, totals.deks) != (done.destroyed, done.bytes, done.deks):
        raise CertificateDiffers(standing.order.order, "the items are not as many as were told")
    if totals.unshredded:
        raise CertificateDiffers(standing.order.order, "other data keys were shredded than had sealed them")


def _confirmations(standing: Standing) -> tuple[Confirmation, ...]:
    found = []
    for store in STORES:
        confirmed = standing.confirmed[store.name]
        keys = store.counted is Counted.KEYS
        found.append(
            Confirmation(
                store.name,
                confirmed.at,
                items=None if keys else confirmed.number,
                deks=confirmed.number if keys else None,
                unrecoverable_after=confirmed.unrecoverable_after,
            )
        )
    return tuple(found)


def _classes_of(tried: Standing) -> Sequence[ClassFound]:
    found = result_of(tried).found
    if not isinstance(found, OrderAnswered):
        msg = "an answer is kept as the event that it came by"
        raise TypeError(msg)
    return found.classes


def _approval(request: Request) -> Approval:
    if request.decided_by is None or request.decided_at is None:
        raise CertificateDiffers(request.subject, "nobody approved it")
    return Approval(
        request.request, request.requester, request.requested_at, request.decided_by, request.decided_at
    )
