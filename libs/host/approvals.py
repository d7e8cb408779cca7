"""The routes of four eyes: see what waits, approve or refuse it. Each service has them for its own acts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from libs.approvals.errors import (
    ApproverRefused,
    DigestDiffers,
    NotApproved,
    ReasonRefused,
    RequestDecided,
    RequestNotFound,
)
from libs.approvals.request import Request
from libs.authn.actor import Actor
from libs.host.auth import ActorVerifier, RevocationCheck, require_actor
from libs.host.problems import ProblemRow, ProblemTable
from libs.kernel.clock import Clock

APPROVAL_PROBLEMS: Final[ProblemTable] = {
    ReasonRefused: ProblemRow(
        422, "urn:problem:reason-refused", "A request needs a reason", "at most {most} characters"
    ),
    RequestNotFound: ProblemRow(404, "urn:problem:not-found", "Not found"),
    ApproverRefused: ProblemRow(
        403, "urn:problem:approver-refused", "Somebody else, whom it does not concern, has to decide"
    ),
    DigestDiffers: ProblemRow(
        409, "urn:problem:digest-differs", "This is not what the request asks for", "request {request}"
    ),
    RequestDecided: ProblemRow(
        409, "urn:problem:request-decided", "The request waits for nobody", "it is {state}"
    ),
    NotApproved: ProblemRow(
        409, "urn:problem:not-approved", "Another person has to approve this first", "{request} is {state}"
    ),
}
"""The rows of the errors of `libs.approvals`, for the table of a service whose acts need four eyes."""


class Desk(Protocol):
    """Where the requests of a service lie; it shows each to those alone who may decide on it."""

    async def listed(self, actor: Actor) -> Sequence[Request]:
        """Return the requests that the actor may see, the newest first."""
        ...

    async def shown(self, actor: Actor, request: UUID) -> Request:
        """Return one of them. Raises RequestNotFound."""
        ...

    async def decide(self, actor: Actor, request: UUID, digest: bytes, *, approves: bool) -> Request:
        """Approve or refuse a request of which the actor saw `digest`.

        Raises RequestNotFound, ApproverRefused, RequestDecided or DigestDiffers.
        """
        ...


class Decision(BaseModel):
    """What somebody decides, and the hash of what he saw."""

    approves: bool
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class RequestView(BaseModel):
    """A request for an act that needs four eyes; `digest` (hex) is the hash of what will be done."""

    request: UUID
    act: str
    subject: UUID
    digest: str
    requester: UUID
    reason: str
    requested_at: datetime
    expires_at: datetime
    state: str
    decided_by: UUID | None
    decided_at: datetime | None
    used_at: datetime | None


class Requests(BaseModel):
    """Requests, the newest first."""

    requests: list[RequestView]


def approval_routes(
    prefix: str, *, verifier: ActorVerifier, revocations: RevocationCheck, desk: Desk, clock: Clock
) -> APIRouter:
    """Return the routes of a service's requests, below `prefix`."""
    router = APIRouter(prefix=f"{prefix}/approvals", tags=["approvals"])
    signed_in = Depends(require_actor(verifier, revocations))

    @router.get("", summary="List what needs four eyes")
    async def listed(actor: Annotated[Actor, signed_in]) -> Requests:
        """List the newest requests that the caller may see."""
        return Requests(requests=[view_of(one, clock.now()) for one in await desk.listed(actor)])

    @router.get("/{request}", summary="Show a request")
    async def shown(actor: Annotated[Actor, signed_in], request: UUID) -> RequestView:
        """Show who asks for what, why, and what became of it."""
        return view_of(await desk.shown(actor, request), clock.now())

    @router.post("/{request}", summary="Approve or refuse a request")
    async def decide(actor: Annotated[Actor, signed_in], request: UUID, wanted: Decision) -> RequestView:
        """Approve or refuse; whoever asked, and whom it concerns, cannot."""
        digest = bytes.fromhex(wanted.digest)
        decided = await desk.decide(actor, request, digest, approves=wanted.approves)
        return view_of(decided, clock.now())

    return router


def view_of(request: Request, now: datetime) -> RequestView:
    """Return a request as the routes show it at `now`."""
    return RequestView(
        request=request.request,
        act=request.act,
        subject=request.subject,
        digest=request.digest.hex(),
        requester=request.requester,
        reason=request.reason,
        requested_at=request.requested_at,
        expires_at=request.expires_at,
        state=request.state(now).value,
        decided_by=request.decided_by,
        decided_at=request.decided_at,
        used_at=request.used_at,
    )
