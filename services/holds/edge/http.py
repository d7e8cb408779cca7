"""The HTTP door of holds: for counsel, and for those who control them."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.authn.actor import Actor
from libs.host.approvals import RequestView, view_of
from libs.host.auth import ActorVerifier, RevocationCheck, require_actor
from libs.kernel.clock import Clock
from libs.kernel.ids import PrincipalId
from services.holds.domain.holds import EXECUTORS, MOST_NAMED, MOST_REASON, Progress, Terms
from services.holds.usecases.place import PlaceHold
from services.holds.usecases.read import ReadHolds, Shown
from services.holds.usecases.release import ReleaseHold

PREFIX: Final = "/holds/v1"
MOST_LISTED: Final = 200

Named = Annotated[list[UUID], Field(max_length=MOST_NAMED)]
Words = Annotated[str, Field(min_length=1, max_length=MOST_REASON, pattern=r"^[^\x00]+$")]


class Body(BaseModel):
    """A body that says nothing unknown: a misspelt list must not become an empty one."""

    model_config = ConfigDict(extra="forbid")


class Place(Body):
    """What is to be preserved: what custodians sent or received, and all of conversations, of a time."""

    hold: UUID | None = Field(
        default=None, description="An id of your own, so that a repeat places nothing new."
    )
    custodians: Named = []
    conversations: Named = []
    everything: bool = Field(default=False, description="Needed for a hold that names neither.")
    since: AwareDatetime | None = Field(
        default=None, description="The first instant of the time; open without."
    )
    until: AwareDatetime | None = Field(default=None, description="The end of the time, not included.")
    silent: bool = Field(description="Whether custodians are kept from knowing; otherwise they get notice.")
    reason: Words
    matter: UUID | None = None


class AskRelease(Body):
    """Why a hold should end."""

    reason: Words


class ExecutorAnswer(BaseModel):
    """Who destroys, and since when nothing that the hold covers; null: not confirmed yet."""

    executor: str
    confirmed_at: AwareDatetime | None


class NoticeAnswer(BaseModel):
    """How far a custodian's notice has come: `due`, `sent` or `acknowledged`."""

    custodian: UUID
    state: str


class ReleaseAnswer(BaseModel):
    """The end of a hold."""

    request: UUID
    released_by: UUID
    released_at: AwareDatetime
    generation: int


class HoldAnswer(BaseModel):
    """A hold; `reason`, `matter` and `request` are null for those who see only that there is one."""

    hold: UUID
    state: str = Field(description="`placed`, then `in-force` when every executor has confirmed, `released`.")
    custodians: list[UUID]
    conversations: list[UUID]
    everything: bool
    since: AwareDatetime | None
    until: AwareDatetime | None
    silent: bool
    reason: str | None
    matter: UUID | None
    placed_by: UUID
    placed_at: AwareDatetime
    generation: int
    in_force_at: AwareDatetime | None
    executors: list[ExecutorAnswer]
    missing: list[str] = Field(description="The executors that have not confirmed the hold.")
    notices: list[NoticeAnswer]
    unknown: list[UUID] = Field(
        description="Custodians who are not in the directory: by them the hold preserves nothing yet."
    )
    release: ReleaseAnswer | None
    request: RequestView | None = Field(description="The newest request for the hold's release.")


class HoldsAnswer(BaseModel):
    """Holds, the newest first; `next` is the `after` of the next page, null on the last."""

    holds: list[HoldAnswer]
    next: UUID | None


class ProgressAnswer(BaseModel):
    """How far an executor has come."""

    executor: str
    generation: int
    confirmed_at: AwareDatetime | None


class GenerationAnswer(BaseModel):
    """The number of changes of the organisation's holds; nobody destroys by an order of an earlier one."""

    generation: int
    executors: list[ProgressAnswer]


def hold_routes(
    *,
    verifier: ActorVerifier,
    revocations: RevocationCheck,
    place: PlaceHold,
    read: ReadHolds,
    release: ReleaseHold,
    clock: Clock,
) -> APIRouter:
    """Return every route about holds, but those of approvals."""
    router = APIRouter(prefix=PREFIX, tags=["holds"])
    signed_in: Any = Depends(require_actor(verifier, revocations))

    @router.post("/holds", status_code=201, summary="Place a hold")
    async def place_hold(actor: Annotated[Actor, signed_in], wanted: Place) -> HoldAnswer:
        """Order that something be preserved. It is in force when `state` says so, and not before."""
        standing = await place(actor, _terms_of(wanted), everything=wanted.everything, hold=wanted.hold)
        return _answer_of(Shown(standing, whole=True), clock.now())

    @router.get("/holds", summary="List holds")
    async def list_holds(
        actor: Annotated[Actor, signed_in],
        after: Annotated[UUID | None, Query(description="The `next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
    ) -> HoldsAnswer:
        """Return the holds that the caller may see."""
        page = await read.listed(actor, after, limit)
        now = clock.now()
        return HoldsAnswer(holds=[_answer_of(each, now) for each in page.holds], next=page.after)

    @router.get("/holds/{hold}", summary="Show a hold")
    async def show_hold(actor: Annotated[Actor, signed_in], hold: UUID) -> HoldAnswer:
        """Return a hold, with the time at which each executor confirmed it."""
        return _answer_of(await read.get(actor, hold), clock.now())

    @router.post("/holds/{hold}/release", status_code=202, summary="Ask for the release of a hold")
    async def ask_release(actor: Annotated[Actor, signed_in], hold: UUID, wanted: AskRelease) -> RequestView:
        """Ask; the hold ends when another person approves the request. That by itself destroys nothing."""
        return view_of(await release.request(actor, hold, wanted.reason), clock.now())

    @router.get("/generation", summary="Show the generation of the holds")
    async def generation(actor: Annotated[Actor, signed_in]) -> GenerationAnswer:
        """Return the generation, and the highest that each executor has confirmed."""
        return _progress_of(await read.generation(actor))

    return router


def _terms_of(wanted: Place) -> Terms:
    return Terms(
        frozenset(map(PrincipalId, wanted.custodians)),
        frozenset(wanted.conversations),
        wanted.since,
        wanted.until,
        wanted.silent,
        wanted.reason,
        wanted.matter,
    )


def _answer_of(shown: Shown, now: datetime) -> HoldAnswer:
    standing, hold, terms = shown.standing, shown.standing.hold, shown.standing.hold.terms
    ended = standing.release
    return HoldAnswer(
        hold=hold.hold,
        state=standing.state,
        custodians=sorted(terms.custodians),
        conversations=sorted(terms.conversations),
        everything=terms.names_all,
        since=terms.since,
        until=terms.until,
        silent=terms.silent,
        reason=terms.reason if shown.whole else None,
        matter=terms.matter if shown.whole else None,
        placed_by=hold.placed_by,
        placed_at=hold.placed_at,
        generation=hold.generation,
        in_force_at=standing.in_force_at,
        executors=[
            ExecutorAnswer(executor=executor, confirmed_at=standing.confirmations.get(executor))
            for executor in EXECUTORS
        ],
        missing=list(standing.missing),
        notices=[NoticeAnswer(custodian=who, state=state) for who, state in standing.notices.items()],
        unknown=sorted(standing.unknown),
        release=None
        if ended is None
        else ReleaseAnswer(
            request=ended.request,
            released_by=ended.released_by,
            released_at=ended.released_at,
            generation=ended.generation,
        ),
        request=None if shown.request is None else view_of(shown.request, now),
    )


def _progress_of(progress: Progress) -> GenerationAnswer:
    executors = []
    for executor in EXECUTORS:
        generation, at = progress.confirmed.get(executor, (0, None))
        executors.append(ProgressAnswer(executor=executor, generation=generation, confirmed_at=at))
    return GenerationAnswer(generation=progress.generation, executors=executors)
