"""The HTTP door of productions: for the members of a matter, and for nobody else."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, Field
from starlette.concurrency import iterate_in_threadpool

from libs.approvals.request import MOST_REASON
from libs.authn.actor import Actor
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.manifest import Bates, Counts, Format
from libs.evidence.production.zipped import zip_pieces
from libs.host.approvals import RequestView, view_of
from libs.host.auth import ActorVerifier, RevocationCheck, require_actor
from libs.kernel.clock import Clock
from services.ediscovery.domain.errors import ProductionRefused
from services.ediscovery.domain.productions.orders import Wanted
from services.ediscovery.domain.query import LONGEST_QUERY
from services.ediscovery.edge.http import PREFIX
from services.ediscovery.edge.matters import Body
from services.ediscovery.usecases.productions import Productions, Shown, Taken

MOST_LISTED: Final = 200
_ZIP: Final = "application/zip"


class BatesBody(Body):
    """How pages are numbered: a prefix, then a number of so many digits."""

    prefix: str = Field(default="", max_length=32)
    width: int = Field(default=8, ge=1, le=18)
    start: int = Field(default=1, ge=0)
    page_characters: int | None = Field(default=None, ge=1, description="Null: one number a message.")


class AskProduction(Body):
    """A production of what was sent in the matter's scope until now."""

    production: UUID | None = Field(
        default=None, description="An id of your own, so that a repeat asks for nothing new."
    )
    format: Format
    query: str | None = Field(
        default=None,
        min_length=1,
        max_length=LONGEST_QUERY,
        pattern=r"^[^\x00]+$",
        description="Null: everything of the scope. Otherwise the messages that match, and nothing else.",
    )
    bates: BatesBody | None = None
    reason: str = Field(max_length=MOST_REASON)


class CountsAnswer(BaseModel):
    """What became of the entries in scope: `in_scope` is the sum of produced, excluded and errors."""

    in_scope: int
    produced: int
    excluded: dict[str, int]
    errors: int
    pages: int


class ProductionAnswer(BaseModel):
    """A production. `entries` and `conversations` are what its scope had when it was asked for."""

    production: UUID
    matter: UUID
    state: str = Field(
        description=(
            "`pending`, `refused` or `expired` as the request is; `making`, `made` or `failed`;"
            " `removed` when its files are not kept any more."
        )
    )
    format: Format
    query: str | None
    bates: BatesBody | None
    since: AwareDatetime | None
    until: AwareDatetime | None
    conversations: int
    entries: int
    done: int = Field(description="How many entries are done.")
    counts: CountsAnswer | None
    manifest: str | None = Field(description="SHA-256 of manifest.json, in hex.")
    failure: str | None
    asked_by: UUID
    asked_at: AwareDatetime
    made_at: AwareDatetime | None
    available_until: AwareDatetime | None = Field(description="Until when it can be taken, once it is made.")
    removed_at: AwareDatetime | None = Field(description="When its files were removed.")
    request: RequestView


class ProductionsAnswer(BaseModel):
    """Productions, the newest first; `next` is the `after` of the next page, null on the last."""

    productions: list[ProductionAnswer]
    next: UUID | None


def production_routes(
    *, verifier: ActorVerifier, revocations: RevocationCheck, productions: Productions, clock: Clock
) -> APIRouter:
    """Return the routes of productions."""
    router = APIRouter(prefix=f"{PREFIX}/matters/{{matter}}/productions", tags=["productions"])
    signed_in: Any = Depends(require_actor(verifier, revocations))

    @router.post("", status_code=201, summary="Ask for a production")
    async def ask(
        actor: Annotated[Actor, signed_in], matter: UUID, wanted: AskProduction
    ) -> ProductionAnswer:
        """Ask for a production, which another member of the matter has to approve."""
        shown = await productions.ask(actor, matter, _wanted(wanted), wanted.reason, wanted.production)
        return _answer(shown, clock.now())

    @router.get("", summary="List productions")
    async def listed(
        actor: Annotated[Actor, signed_in],
        matter: UUID,
        after: Annotated[UUID | None, Query(description="The `next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
    ) -> ProductionsAnswer:
        """Return the productions of a matter."""
        found, now = await productions.listed(actor, matter, after, limit), clock.now()
        last = found[-1].standing.order.production if len(found) == limit else None
        return ProductionsAnswer(productions=[_answer(each, now) for each in found], next=last)

    @router.get("/{production}", summary="Show a production")
    async def shown(actor: Annotated[Actor, signed_in], matter: UUID, production: UUID) -> ProductionAnswer:
        """Return a production: how far it is, and what came of it."""
        return _answer(await productions.get(actor, matter, production), clock.now())

    @router.get(
        "/{production}/download",
        summary="Take a production",
        response_class=StreamingResponse,
        responses={200: {"content": {_ZIP: {}}, "description": "The production as a zip, in one spelling."}},
    )
    async def take(actor: Annotated[Actor, signed_in], matter: UUID, production: UUID) -> StreamingResponse:
        """Return a production. That is an act in the chain of custody."""
        taken = await productions.take(actor, matter, production)
        headers = {
            "content-disposition": f'attachment; filename="{production}.zip"',
            "cache-control": "no-store",
        }
        return StreamingResponse(_streamed(taken), media_type=_ZIP, headers=headers)

    return router


async def _streamed(taken: Taken) -> AsyncIterator[bytes]:
    async for piece in iterate_in_threadpool(zip_pieces(taken.folder)):
        yield piece


def _wanted(wanted: AskProduction) -> Wanted:
    bates = None
    if wanted.bates is not None:
        numbers = wanted.bates
        try:
            bates = Bates(numbers.prefix, numbers.width, numbers.start, numbers.page_characters)
            bates.label(numbers.start)
        except EvidenceRefused as refused:
            raise ProductionRefused(refused.reason) from None
    return Wanted(wanted.format, wanted.query, bates)


def _answer(shown: Shown, now: datetime) -> ProductionAnswer:
    standing = shown.standing
    order, made, bates = standing.order, standing.made, standing.order.wanted.bates
    return ProductionAnswer(
        production=order.production,
        matter=order.matter,
        state=standing.stage(now),
        format=order.wanted.format,
        query=order.wanted.query,
        bates=None
        if bates is None
        else BatesBody(
            prefix=bates.prefix,
            width=bates.width,
            start=bates.start,
            page_characters=bates.page_characters,
        ),
        since=order.scope.since,
        until=order.scope.until,
        conversations=order.extent.conversations,
        entries=order.extent.entries,
        done=shown.done,
        counts=None if made is None else _counts(made.counts),
        manifest=None if made is None else made.digest.hex(),
        failure=None if standing.failure is None else standing.failure.reason,
        asked_by=order.asked_by,
        asked_at=order.asked_at,
        made_at=None if made is None else made.at,
        available_until=shown.until,
        removed_at=None if standing.removal is None else standing.removal.at,
        request=view_of(standing.request, now),
    )


def _counts(counts: Counts) -> CountsAnswer:
    return CountsAnswer(
        in_scope=counts.in_scope,
        produced=counts.produced,
        excluded={str(reason): number for reason, number in counts.excluded.items()},
        errors=counts.errors,
        pages=counts.pages,
    )
