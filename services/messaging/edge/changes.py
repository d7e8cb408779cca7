"""The HTTP door of changes: who takes part in a conversation, who administers it, how it stands."""

from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from libs.authn.actor import Actor
from libs.host.auth import ActorVerifier, RevocationCheck, require_actor
from libs.kernel.ids import ConversationId, PrincipalId
from services.messaging.domain.membership import MOST_PARTICIPANTS
from services.messaging.usecases.converse import Converse, Settled

MOST_NAME: Final = 200
MOST_TOPIC: Final = 1_000
People = Annotated[list[UUID], Field(max_length=MOST_PARTICIPANTS)]


class ParticipantsChange(BaseModel):
    """Whom to bring in and whom to remove."""

    add: People = []
    remove: People = []


class Changed(BaseModel):
    """The `seq` of the entries that were made; null where nothing had to change."""

    added: int | None
    removed: int | None


class AdministratorsChange(BaseModel):
    """Which participants to make administrators, and which administrators to make plain participants."""

    add: People = []
    remove: People = []


class Left(BaseModel):
    """The `seq` of the entry by which the caller left."""

    left: int | None


class ConversationChange(BaseModel):
    """What to settle for a conversation; what is absent stays as it is.

    `history` is what those see who are brought in from then on: what follows (`join`), or all of it (`all`).
    With `announcements` its administrators alone write. What is `archived` is read alone.
    """

    name: Annotated[str, Field(min_length=1, max_length=MOST_NAME)] | None = None
    topic: Annotated[str, Field(max_length=MOST_TOPIC)] | None = None
    history: Literal["join", "all"] | None = None
    announcements: bool | None = None
    archived: bool | None = None


class ConversationChanged(BaseModel):
    """The `seq` of the entry that each change made; null where nothing had to change."""

    name: int | None
    topic: int | None
    history: int | None
    announcements: int | None
    archived: int | None


def change_routes(
    prefix: str, *, verifier: ActorVerifier, revocations: RevocationCheck, converse: Converse
) -> APIRouter:
    """Return the routes by which conversations are changed, below `prefix`."""
    router = APIRouter(prefix=prefix, tags=["conversations"])
    signed_in = Depends(require_actor(verifier, revocations))

    @router.patch("/conversations/{conversation}", summary="Settle how a conversation stands")
    async def settle(
        actor: Annotated[Actor, signed_in], conversation: UUID, wanted: ConversationChange
    ) -> ConversationChanged:
        """Give a group a name or a topic, say what newcomers see and who writes, archive or reopen it."""
        settled = Settled(
            name=wanted.name,
            topic=wanted.topic,
            open_history=None if wanted.history is None else wanted.history == "all",
            announcements=wanted.announcements,
            archived=wanted.archived,
        )
        made = await converse.settle(actor, ConversationId(conversation), settled)
        return ConversationChanged(
            name=made.name,
            topic=made.topic,
            history=made.open_history,
            announcements=made.announcements,
            archived=made.archived,
        )

    @router.post("/conversations/{conversation}/participants", summary="Change who takes part")
    async def change(
        actor: Annotated[Actor, signed_in], conversation: UUID, wanted: ParticipantsChange
    ) -> Changed:
        """Bring people into a group, and remove people from it."""
        key = ConversationId(conversation)
        added = removed = None
        if wanted.add:
            added = await converse.add(actor, key, [PrincipalId(each) for each in wanted.add])
        if wanted.remove:
            removed = await converse.remove(actor, key, [PrincipalId(each) for each in wanted.remove])
        return Changed(added=added, removed=removed)

    @router.post("/conversations/{conversation}/administrators", summary="Change who administers")
    async def appoint(
        actor: Annotated[Actor, signed_in], conversation: UUID, wanted: AdministratorsChange
    ) -> Changed:
        """Make participants of a group its administrators, and administrators plain participants."""
        key = ConversationId(conversation)
        added = removed = None
        if wanted.add:
            added = await converse.appoint(actor, key, [PrincipalId(each) for each in wanted.add])
        if wanted.remove:
            removed = await converse.dismiss(actor, key, [PrincipalId(each) for each in wanted.remove])
        return Changed(added=added, removed=removed)

    @router.post("/conversations/{conversation}/leave", summary="Leave a group")
    async def leave(actor: Annotated[Actor, signed_in], conversation: UUID) -> Left:
        """Leave a group: what was said until then stays readable, and nothing that follows is."""
        return Left(left=await converse.leave(actor, ConversationId(conversation)))

    return router
