"""A request for an act that needs four eyes, and the rules by which it is decided. Pure.

A request names what will be done by its hash, so that nothing else can be done by it. Somebody else, whom
the act does not concern, approves or refuses it; an approval is good until it expires, and for one act.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from libs.approvals.errors import (
    ApproverRefused,
    DigestDiffers,
    NotApproved,
    ReasonRefused,
    RequestDecided,
)
from libs.kernel.ids import PrincipalId, TenantId

DIGEST_BYTES: Final = 32
MOST_REASON: Final = 1000
LIFETIME: Final = timedelta(days=7)
"""How long a request is good, from the moment at which it was made to the moment at which it is used."""


class State(StrEnum):
    """Where a request stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    USED = "used"


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for which act on which subject, and what became of it.

    `digest` (32 bytes, SHA-256) is the hash of what will be done. `reason` is a person's own words: it
    stays in this row and goes into no log. `barred` are those whom the act concerns. `approved` is None
    until somebody (`decided_by`) has decided.
    """

    request: UUID
    tenant: TenantId
    act: str
    subject: UUID
    digest: bytes
    requester: PrincipalId
    reason: str
    barred: frozenset[PrincipalId]
    requested_at: datetime
    expires_at: datetime
    decided_by: PrincipalId | None = None
    decided_at: datetime | None = None
    approved: bool | None = None
    used_at: datetime | None = None

    def state(self, now: datetime) -> State:
        """Return where the request stands at `now`."""
        if self.used_at is not None:
            return State.USED
        if self.approved is False:
            return State.REFUSED
        if now >= self.expires_at:
            return State.EXPIRED
        return State.APPROVED if self.approved else State.PENDING


def decide_request(  # noqa: PLR0913 - each is a fact of the request
    request: UUID,
    tenant: TenantId,
    act: str,
    subject: UUID,
    digest: bytes,
    requester: PrincipalId,
    reason: str,
    now: datetime,
    *,
    barred: Collection[PrincipalId] = (),
    lifetime: timedelta = LIFETIME,
) -> Request:
    """Return a new request. Raises ReasonRefused without a reason, or with one that is too long."""
    words = reason.strip()
    if not 0 < len(words) <= MOST_REASON:
        raise ReasonRefused(len(words), MOST_REASON)
    if len(digest) != DIGEST_BYTES:
        msg = f"what will be done is named by {DIGEST_BYTES} bytes, not {len(digest)}"
        raise ValueError(msg)
    return Request(
        request, tenant, act, subject, digest, requester, words, frozenset(barred), now, now + lifetime
    )


def decide_decision(
    request: Request, approver: PrincipalId, digest: bytes, now: datetime, *, approves: bool
) -> Request:
    """Return the request as `approver`, who saw `digest`, decided it.

    Raises ApproverRefused for who asked and for whom it concerns, RequestDecided for a request that is not
    pending any more, and DigestDiffers for another hash than that of the request.
    """
    if approver == request.requester or approver in request.barred:
        raise ApproverRefused(request.request)
    if (state := request.state(now)) is not State.PENDING:
        raise RequestDecided(request.request, state)
    if digest != request.digest:
        raise DigestDiffers(request.request)
    return replace(request, decided_by=approver, decided_at=now, approved=approves)


def decide_use(request: Request, act: str, subject: UUID, digest: bytes, now: datetime) -> Request:
    """Return the request as it is used for `act` on `subject`, of which `digest` is what will be done.

    Raises NotApproved for a request that is not approved now, and DigestDiffers for another act.
    """
    if (state := request.state(now)) is not State.APPROVED:
        raise NotApproved(request.request, state)
    if (act, subject, digest) != (request.act, request.subject, request.digest):
        raise DigestDiffers(request.request)
    return replace(request, used_at=now)
