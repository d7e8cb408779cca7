"""The HTTP door of matters: for the people who look into them, and for nobody else."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.authn.actor import Actor
from libs.host.auth import ActorVerifier, RevocationCheck, require_actor
from libs.kernel.ids import ConversationId, PrincipalId
from services.ediscovery.domain.documents import DocumentKey, Standing
from services.ediscovery.domain.matters import LONGEST_NAME, MOST_NAMED, Bounds, Matter
from services.ediscovery.domain.query import LONGEST_QUERY
from services.ediscovery.domain.texts import Text
from services.ediscovery.edge.http import PREFIX
from services.ediscovery.usecases.matters import Matters, Shown
from services.ediscovery.usecases.search import Found, SearchMatter

MOST_HITS: Final = 100
MOST_LISTED: Final = 200

Named = Annotated[list[UUID], Field(max_length=MOST_NAMED)]


class Body(BaseModel):
    """A body that says nothing unknown: a misspelt limit must not become none."""

    model_config = ConfigDict(extra="forbid")


class MakeMatter(Body):
    """A matter and its scope, which is never changed: what lies outside cannot be seen in it."""

    matter: UUID | None = Field(
        default=None, description="An id of your own, so that a repeat makes nothing new."
    )
    name: str = Field(min_length=1, max_length=LONGEST_NAME, pattern=r"^[^\x00]+$")
    custodians: Named = Field(default=[], description="Of whom one took part when a message was sent.")
    conversations: Named = []
    everything: bool = Field(default=False, description="Needed for a matter that names neither.")
    since: AwareDatetime | None = Field(default=None, description="The first instant of the time.")
    until: AwareDatetime | None = Field(default=None, description="The end of the time, not included.")


class AddMember(Body):
    """Who is to look into the matter; what he may do there his roles say."""

    principal: UUID


class Place(BaseModel):
    """Where a hit stands among all hits."""

    sent_at: AwareDatetime
    conversation: UUID
    seq: int = Field(ge=0)


class Search(Body):
    """A query in the language of the search."""

    query: str = Field(min_length=1, max_length=LONGEST_QUERY, pattern=r"^[^\x00]+$")
    limit: int = Field(default=20, ge=1, le=MOST_HITS)
    after: Place | None = Field(default=None, description="The `next` of the page before.")


class MemberAnswer(BaseModel):
    """Who looks into a matter."""

    principal: UUID
    added_by: UUID
    added_at: AwareDatetime


class MatterAnswer(BaseModel):
    """A matter."""

    matter: UUID
    name: str
    custodians: list[UUID]
    conversations: list[UUID]
    since: AwareDatetime | None
    until: AwareDatetime | None
    made_by: UUID
    made_at: AwareDatetime


class MatterShown(MatterAnswer):
    """A matter with its members."""

    members: list[MemberAnswer]


class MattersAnswer(BaseModel):
    """The caller's matters, the newest first; `next` is the `after` of the next page, null on the last."""

    matters: list[MatterAnswer]
    next: UUID | None


class VersionAnswer(BaseModel):
    """One version of a message: the first has the revision 0.

    A version is superseded by the entry of the next one; what was retracted was retracted by that entry, and
    none of its versions is shown to participants any more.
    """

    conversation: UUID
    seq: int
    message: UUID
    sender: UUID
    sent_at: AwareDatetime
    revision: int
    superseded_by: int | None
    retracted_by: int | None


class HitAnswer(VersionAnswer):
    """A version of a message that was found."""

    excerpt: str = Field(description="The part of the text where the first word stands.")
    excerpt_at: int = Field(description="Where in the whole text the excerpt begins, in characters.")
    marks: list[tuple[int, int]] = Field(
        description="Where words of the query stand in the excerpt: first character, and the one behind."
    )


class SearchAnswer(BaseModel):
    """Hits in the order in which they were sent; `act` is the search's own entry in the chain of custody."""

    act: UUID
    hits: list[HitAnswer]
    next: Place | None


class MessageAnswer(VersionAnswer):
    """A whole message, in one of its versions."""

    participants: list[UUID] = Field(description="Who took part when it was sent.")
    text: str


def matter_routes(
    *, verifier: ActorVerifier, revocations: RevocationCheck, matters: Matters, search: SearchMatter
) -> APIRouter:
    """Return the routes of matters."""
    router = APIRouter(prefix=f"{PREFIX}/matters", tags=["matters"])
    signed_in: Any = Depends(require_actor(verifier, revocations))

    @router.post("", status_code=201, summary="Make a matter")
    async def make_matter(actor: Annotated[Actor, signed_in], wanted: MakeMatter) -> MatterShown:
        """Make a matter; who makes it is its first member."""
        shown = await matters.create(
            actor, wanted.name, _bounds_of(wanted), everything=wanted.everything, matter=wanted.matter
        )
        return _shown(shown)

    @router.get("", summary="List matters")
    async def list_matters(
        actor: Annotated[Actor, signed_in],
        after: Annotated[UUID | None, Query(description="The `next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
    ) -> MattersAnswer:
        """Return the matters that the caller looks into."""
        found = await matters.listed(actor, after, limit)
        last = found[-1].matter if len(found) == limit else None
        return MattersAnswer(matters=[MatterAnswer(**_answer(each)) for each in found], next=last)

    @router.get("/{matter}", summary="Show a matter")
    async def show_matter(actor: Annotated[Actor, signed_in], matter: UUID) -> MatterShown:
        """Return a matter with its members."""
        return _shown(await matters.get(actor, matter))

    @router.post("/{matter}/members", summary="Add a member")
    async def add_member(actor: Annotated[Actor, signed_in], matter: UUID, wanted: AddMember) -> MatterShown:
        """Let somebody look into the matter."""
        return _shown(await matters.add_member(actor, matter, PrincipalId(wanted.principal)))

    @router.post("/{matter}/searches", summary="Search in a matter")
    async def search_matter(actor: Annotated[Actor, signed_in], matter: UUID, wanted: Search) -> SearchAnswer:
        """Return what the query finds within the scope. Each page is an act in the chain of custody."""
        after = wanted.after
        standing = None
        if after is not None:
            standing = Standing(after.sent_at, ConversationId(after.conversation), after.seq)
        page = await search.search(actor, matter, wanted.query, wanted.limit, standing)
        behind = None
        if page.after is not None:
            behind = Place(
                sent_at=page.after.sent_at, conversation=page.after.conversation, seq=page.after.seq
            )
        return SearchAnswer(act=page.act, hits=[_hit(each) for each in page.found], next=behind)

    @router.get("/{matter}/messages/{conversation}/{seq}", summary="Look at a message")
    async def view_message(
        actor: Annotated[Actor, signed_in],
        matter: UUID,
        conversation: UUID,
        seq: Annotated[int, Path(ge=1)],
    ) -> MessageAnswer:
        """Return a whole message within the scope. That is an act in the chain of custody."""
        key = DocumentKey(ConversationId(conversation), seq)
        text = await search.view(actor, matter, key)
        return MessageAnswer(**_message(text), participants=sorted(text.participants), text=text.text)

    return router


def _bounds_of(wanted: MakeMatter) -> Bounds:
    return Bounds(
        frozenset(map(PrincipalId, wanted.custodians)),
        frozenset(map(ConversationId, wanted.conversations)),
        wanted.since,
        wanted.until,
    )


def _answer(matter: Matter) -> dict[str, Any]:
    bounds = matter.bounds
    return {
        "matter": matter.matter,
        "name": matter.name,
        "custodians": sorted(bounds.custodians),
        "conversations": sorted(bounds.conversations),
        "since": bounds.since,
        "until": bounds.until,
        "made_by": matter.made_by,
        "made_at": matter.made_at,
    }


def _shown(shown: Shown) -> MatterShown:
    members = [MemberAnswer(**member._asdict()) for member in shown.members]
    return MatterShown(**_answer(shown.matter), members=members)


def _message(text: Text) -> dict[str, Any]:
    return {
        "conversation": text.key.conversation,
        "seq": text.key.seq,
        "message": text.message,
        "sender": text.sender,
        "sent_at": text.sent_at,
        "revision": text.revision,
        "superseded_by": text.superseded_by,
        "retracted_by": text.retracted_by,
    }


def _hit(found: Found) -> HitAnswer:
    excerpt = found.excerpt
    marks = [(mark.begin, mark.end) for mark in excerpt.marks]
    return HitAnswer(**_message(found.text), excerpt=excerpt.text, excerpt_at=excerpt.at, marks=marks)
