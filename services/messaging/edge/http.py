"""The HTTP door: what a participant can ask without a socket."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field

from libs.authn.actor import Actor
from libs.contracts.socket import Body, ConversationEntries, Version
from libs.contracts.socket import Entry as ShownEntry
from libs.host.auth import ActorVerifier, RevocationCheck, require_actor
from libs.kernel.ids import ConversationId, Ids, PrincipalId
from services.messaging.domain.amendments import MOST_REASON, MOST_SECONDS, AmendmentRules
from services.messaging.domain.entries import ConversationKind
from services.messaging.domain.log import Appended, Repeated
from services.messaging.edge.changes import MOST_NAME, People
from services.messaging.usecases.amend import AmendMessage
from services.messaging.usecases.amendment_rules import GovernAmendments
from services.messaging.usecases.converse import Converse
from services.messaging.usecases.evidence import ProvedEntry, TakeEvidence
from services.messaging.usecases.read import Listed, ReadConversations
from services.messaging.usecases.send import SendMessage, acknowledged

MOST_ENTRIES = 1000
MOST_CURSORS = 100_000
MOST_TEXT = 16_384

_KINDS: Final[Mapping[ConversationKind, Literal["direct", "group", "import"]]] = {
    ConversationKind.DIRECT: "direct",
    ConversationKind.GROUP: "group",
    ConversationKind.IMPORT: "import",
}
Seq = Annotated[int, Field(ge=0, lt=2**63)]
MessageSeq = Annotated[int, PathParameter(ge=1, lt=2**63)]
Seconds = Annotated[int, Field(ge=0, le=MOST_SECONDS)]


class NewConversation(BaseModel):
    """A conversation to begin; `id` is the client's own, so that a repetition makes nothing new."""

    kind: Literal["direct", "group"]
    participants: People
    name: Annotated[str, Field(min_length=1, max_length=MOST_NAME)] | None = None
    id: UUID | None = None


class Begun(BaseModel):
    """Where the new conversation's first entry stands."""

    conversation: UUID
    seq: int


class MessageText(BaseModel):
    """The body of a message."""

    text: Annotated[str, Field(max_length=MOST_TEXT)]


class NewMessage(BaseModel):
    """A message to send; `id` is the client's own, so that a repetition makes nothing new."""

    id: UUID
    body: MessageText


class Revision(BaseModel):
    """A new text for a message; `id` is the client's own, so that a repetition makes nothing new."""

    id: UUID
    body: MessageText


class Retraction(BaseModel):
    """Takes a message back; `id` is the client's own. Who said something else needs a reason."""

    id: UUID
    reason: Annotated[str, Field(min_length=1, max_length=MOST_REASON)] | None = None


class Sent(BaseModel):
    """Where a committed message, revision or retraction stands."""

    id: UUID
    conversation: UUID
    seq: int
    message: UUID
    committed_at: datetime


class ConversationView(BaseModel):
    """A conversation as one principal stands to it.

    Name and topic are null where it has none, or what said it was disposed of.
    """

    conversation: UUID
    kind: Literal["direct", "group", "import"]
    takes_part: bool
    administrator: bool
    last_seq: int
    members_version: int
    name: str | None
    topic: str | None
    history: Literal["join", "all"]
    announcements: bool
    archived: bool


class ConversationDetail(ConversationView):
    """The same, with those who take part and those who administer (for those who take part)."""

    participants: list[UUID]
    administrators: list[UUID]


class Conversations(BaseModel):
    """The conversations of a principal."""

    conversations: list[ConversationView]


class BodyView(BaseModel):
    """The clear body of an entry."""

    text: str | None = None
    name: str | None = None
    reason: str | None = None
    topic: str | None = None


class VersionView(BaseModel):
    """The version of a revised message that is in force: what its entry at `seq` says."""

    seq: int
    revision: int
    sent_at: datetime
    body: BodyView | None
    disposed: bool


class EntryView(BaseModel):
    """One entry of a conversation's log; a disposed one is a tombstone without body.

    A revision or retraction has the `message` of what it amends, and in `message_seq` the place of its first
    entry. A version that is `superseded`, and every version of what is `retracted`, has no body; the first
    entry of a revised message shows the `current` version, to those who may see that one.
    """

    seq: int
    kind: str
    message: UUID | None
    revision: int
    actor: UUID
    sent_at: datetime
    committed_at: datetime
    members_version: int
    body: BodyView | None
    disposed: bool
    subjects: list[UUID]
    message_seq: int | None = None
    superseded: bool = False
    retracted: bool = False
    current: VersionView | None = None


class History(BaseModel):
    """Entries of one conversation, in order of `seq`."""

    entries: list[EntryView]


class SyncRequest(BaseModel):
    """What a device has: conversation → last `seq`; the answer is everything after."""

    cursors: Annotated[dict[UUID, Seq], Field(max_length=MOST_CURSORS)] = {}
    limit: Annotated[int, Field(ge=1, le=MOST_ENTRIES)] = MOST_ENTRIES


class SyncedConversation(BaseModel):
    """What was missed of one conversation."""

    conversation: UUID
    entries: list[EntryView]


class SyncAnswer(BaseModel):
    """A part of what was missed; ask again with `cursors` while there is `more`."""

    entries: list[SyncedConversation]
    more: bool
    cursors: dict[UUID, int]


class MarkView(BaseModel):
    """How far one device has come."""

    principal: UUID
    device: UUID
    delivered: int
    read: int
    at: datetime


class Receipts(BaseModel):
    """The marks of every device in a conversation."""

    receipts: list[MarkView]


class AmendmentRulesView(BaseModel):
    """Who may revise and retract, and for how many seconds after a message was sent.

    Null is without end, 0 is not at all. `version` is the one that is in force, 0 where nobody made rules.
    """

    version: Annotated[int, Field(ge=0, lt=2**31)]
    revise_seconds: Seconds | None
    retract_seconds: Seconds | None
    administrators_retract: bool


class ProvedEntryView(BaseModel):
    """An entry with its place in the tree of its commit, and what opens its commitments.

    `path` is base64, hash by hash; commitments and salts are hex; `metadata` are canonical JSON (RFC 8785)
    to the byte, and `body` is base64. What was disposed of is null with its salt; its commitment stays.
    """

    seq: int
    commit: UUID
    place: int
    size: int
    path: list[str]
    metadata_commitment: str
    body_commitment: str | None
    metadata: str | None
    metadata_salt: str | None
    body: str | None
    body_salt: str | None


class EvidenceView(BaseModel):
    """Entries of one conversation in a row, each with what proves it to be of its commit."""

    conversation: UUID
    entries: list[ProvedEntryView]


def conversation_routes(
    prefix: str,
    *,
    verifier: ActorVerifier,
    revocations: RevocationCheck,
    converse: Converse,
    read: ReadConversations,
    ids: Ids,
) -> APIRouter:
    """Return the routes of conversations and those who take part, below `prefix`."""
    router = APIRouter(prefix=prefix, tags=["conversations"])
    signed_in = Depends(require_actor(verifier, revocations))

    @router.post("/conversations", summary="Begin a conversation", status_code=201)
    async def begin(actor: Annotated[Actor, signed_in], wanted: NewConversation) -> Begun:
        """Begin a conversation; beginning the same again returns the one that exists."""
        conversation, seq = await converse.create(
            actor,
            ConversationKind[wanted.kind.upper()],
            [PrincipalId(principal) for principal in wanted.participants],
            wanted.id or ids.uuid7(),
            wanted.name,
        )
        return Begun(conversation=conversation, seq=seq)

    @router.get("/conversations", summary="List conversations")
    async def listed(actor: Annotated[Actor, signed_in], *, archived: bool = False) -> Conversations:
        """List the conversations that the caller takes or took part in; archived ones where asked."""
        listed = await read.listed(actor, archived=archived)
        return Conversations(conversations=[_view_of(each) for each in listed])

    @router.get("/conversations/{conversation}", summary="Show a conversation")
    async def one(actor: Annotated[Actor, signed_in], conversation: UUID) -> ConversationDetail:
        """Show a conversation, with its participants for those who take part."""
        shown, members = await read.conversation(actor, ConversationId(conversation))
        return ConversationDetail(
            **_view_of(shown).model_dump(),
            participants=sorted(members.present),
            administrators=sorted(members.administrators),
        )

    return router


def log_routes(
    prefix: str,
    *,
    verifier: ActorVerifier,
    revocations: RevocationCheck,
    read: ReadConversations,
    send: SendMessage,
    amend: AmendMessage,
) -> APIRouter:
    """Return the routes of messages, history, receipts and sync, below `prefix`."""
    router = APIRouter(prefix=prefix, tags=["messages"])
    signed_in = Depends(require_actor(verifier, revocations))

    @router.post("/conversations/{conversation}/messages", summary="Send a message", status_code=201)
    async def post(actor: Annotated[Actor, signed_in], conversation: UUID, wanted: NewMessage) -> Sent:
        """Send a message; the answer comes when it is committed."""
        done = await send(actor, ConversationId(conversation), wanted.id, Body(text=wanted.body.text))
        return _sent(wanted.id, conversation, await done)

    @router.post(
        "/conversations/{conversation}/messages/{seq}/revisions",
        summary="Give a message another text",
        status_code=201,
    )
    async def revise(
        actor: Annotated[Actor, signed_in], conversation: UUID, seq: MessageSeq, wanted: Revision
    ) -> Sent:
        """Give one's own message another text; `seq` is the place of its first entry."""
        key = ConversationId(conversation)
        done = await amend.revise(actor, key, seq, wanted.id, Body(text=wanted.body.text))
        return _sent(wanted.id, conversation, await done)

    @router.post(
        "/conversations/{conversation}/messages/{seq}/retraction",
        summary="Take a message back",
        status_code=201,
    )
    async def retract(
        actor: Annotated[Actor, signed_in], conversation: UUID, seq: MessageSeq, wanted: Retraction
    ) -> Sent:
        """Take back a message: one's own, or, for a reason, as an administrator of the conversation."""
        done = await amend.retract(actor, ConversationId(conversation), seq, wanted.id, wanted.reason)
        return _sent(wanted.id, conversation, await done)

    @router.get("/conversations/{conversation}/entries", summary="Read history")
    async def history(
        actor: Annotated[Actor, signed_in],
        conversation: UUID,
        after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = 100,
    ) -> History:
        """Return entries after `after`, in order, as far as the caller may see them."""
        shown = await read.history(actor, ConversationId(conversation), after, limit)
        return History(entries=[_entry_view(entry) for entry in shown])

    @router.get("/conversations/{conversation}/receipts", summary="Show receipts")
    async def receipts(actor: Annotated[Actor, signed_in], conversation: UUID) -> Receipts:
        """Return how far each device has received and read."""
        marks = await read.marks(actor, ConversationId(conversation))
        return Receipts(receipts=[MarkView(**mark._asdict()) for mark in marks])

    @router.post("/sync", summary="Catch up")
    async def sync(actor: Annotated[Actor, signed_in], wanted: SyncRequest) -> SyncAnswer:
        """Return everything after the cursors, page by page."""
        page = await read.sync(actor, wanted.cursors, wanted.limit)
        return SyncAnswer(
            entries=[_synced(each) for each in page.entries], more=page.more, cursors=page.cursors
        )

    return router


def rule_routes(
    prefix: str, *, verifier: ActorVerifier, revocations: RevocationCheck, govern: GovernAmendments
) -> APIRouter:
    """Return the routes of the rules for revisions and retractions, below `prefix`."""
    router = APIRouter(prefix=prefix, tags=["rules"])
    signed_in = Depends(require_actor(verifier, revocations))

    @router.get("/amendment-rules", summary="Show who may revise and retract")
    async def rules(actor: Annotated[Actor, signed_in]) -> AmendmentRulesView:
        """Show who may revise and retract messages, and for how long."""
        return AmendmentRulesView(**(await govern.rules(actor))._asdict())

    @router.put("/amendment-rules", summary="Change who may revise and retract")
    async def change(actor: Annotated[Actor, signed_in], wanted: AmendmentRulesView) -> AmendmentRulesView:
        """Put other rules in the place of the version that is named."""
        changed = await govern.change(actor, AmendmentRules(**wanted.model_dump()))
        return AmendmentRulesView(**changed._asdict())

    return router


def evidence_routes(
    prefix: str, *, verifier: ActorVerifier, revocations: RevocationCheck, take_evidence: TakeEvidence
) -> APIRouter:
    """Return the route by which a participant takes evidence, below `prefix`."""
    router = APIRouter(prefix=prefix, tags=["evidence"])
    signed_in = Depends(require_actor(verifier, revocations))

    @router.get("/conversations/{conversation}/evidence", summary="Take evidence")
    async def evidence(
        actor: Annotated[Actor, signed_in],
        conversation: UUID,
        first: Annotated[int, Query(ge=1, lt=2**63)],
        last: Annotated[int, Query(ge=1, lt=2**63)],
    ) -> EvidenceView:
        """Return the entries `first` to `last`, at most 1,000, with what proves each to be of its commit.

        The audit log proves the commits. Taking evidence is told to it.
        """
        proved = await take_evidence(actor, ConversationId(conversation), first, last)
        return EvidenceView(conversation=conversation, entries=[_proved_view(entry) for entry in proved])

    return router


def _proved_view(entry: ProvedEntry) -> ProvedEntryView:
    return ProvedEntryView(
        seq=entry.seq,
        commit=entry.commit,
        place=entry.path.place,
        size=entry.path.size,
        path=[b64encode(each).decode() for each in entry.path.hashes],
        metadata_commitment=entry.metadata_commitment.hex(),
        body_commitment=None if entry.body_commitment is None else entry.body_commitment.hex(),
        metadata=None if entry.metadata is None else entry.metadata.decode(),
        metadata_salt=None if entry.metadata_salt is None else entry.metadata_salt.hex(),
        body=None if entry.body is None else b64encode(entry.body).decode(),
        body_salt=None if entry.body_salt is None else entry.body_salt.hex(),
    )


def _view_of(shown: Listed) -> ConversationView:
    conversation, standing = shown.state
    terms = standing.shown_terms
    return ConversationView(
        conversation=conversation,
        kind=_KINDS[standing.kind],
        takes_part=standing.takes_part,
        administrator=standing.administrator,
        last_seq=standing.last_visible,
        members_version=standing.members_version,
        name=shown.described.name,
        topic=shown.described.topic,
        history="all" if terms.open_history else "join",
        announcements=terms.announcements,
        archived=terms.archived,
    )


def _sent(client_id: UUID, conversation: UUID, outcome: Appended | Repeated) -> Sent:
    told = acknowledged(outcome)
    return Sent(
        id=client_id,
        conversation=conversation,
        seq=told.seq,
        message=told.message,
        committed_at=told.committed_at,
    )


def _synced(each: ConversationEntries) -> SyncedConversation:
    return SyncedConversation(
        conversation=each.conversation, entries=[_entry_view(entry) for entry in each.entries]
    )


def _entry_view(entry: ShownEntry) -> EntryView:
    return EntryView(
        seq=entry.seq,
        kind=entry.kind,
        message=entry.message,
        revision=entry.revision,
        actor=entry.actor,
        sent_at=entry.sent_at,
        committed_at=entry.committed_at,
        members_version=entry.members_version,
        body=_body_view(entry.body),
        disposed=entry.disposed,
        subjects=list(entry.subjects),
        message_seq=entry.message_seq,
        superseded=entry.superseded,
        retracted=entry.retracted,
        current=None if entry.current is None else _version_view(entry.current),
    )


def _version_view(version: Version) -> VersionView:
    return VersionView(
        seq=version.seq,
        revision=version.revision,
        sent_at=version.sent_at,
        body=_body_view(version.body),
        disposed=version.disposed,
    )


def _body_view(body: Body | None) -> BodyView | None:
    return (
        None
        if body is None
        else BodyView(text=body.text, name=body.name, reason=body.reason, topic=body.topic)
    )
