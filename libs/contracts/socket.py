"""The frames of the socket protocol `muniment.v1`: JSON text frames, told apart by `op`.

Both sides read tolerantly: an unknown field is no error, and fields are only added, with a default.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Final
from uuid import UUID

import msgspec

from libs.contracts.problems import Problem

SUBPROTOCOL: Final = "muniment.v1"
PATH: Final = "/messaging/v1/ws"
HELLO_SECONDS: Final = 10
HELLO_REF: Final = "hello"
"""The `ref` of the pages that answer a hello's cursors."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Seq = Annotated[int, msgspec.Meta(ge=0)]
Ref = Annotated[str, msgspec.Meta(max_length=64)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Cursors = dict[UUID, Seq]
"""Conversation → the last `seq` that the device has."""


class CloseCode(IntEnum):
    """Why a socket ends."""

    NORMAL = 1000
    BINARY_OR_UNREADABLE = 1003
    MALFORMED = 1007
    OVERSIZED = 1009
    RESTARTING = 1012
    TRY_LATER = 1013
    UNAUTHENTICATED = 4001
    REVOKED = 4003
    RESYNC = 4008


class EntryKind:
    """The kinds of entries that this version knows; a reader skips over others."""

    CONVERSATION_CREATED: Final = "conversation_created"
    PARTICIPANTS_ADDED: Final = "participants_added"
    PARTICIPANTS_REMOVED: Final = "participants_removed"
    MESSAGE_CREATED: Final = "message_created"
    MESSAGE_REVISED: Final = "message_revised"
    MESSAGE_RETRACTED: Final = "message_retracted"
    NAME_CHANGED: Final = "name_changed"
    TOPIC_CHANGED: Final = "topic_changed"
    ADMINISTRATORS_ADDED: Final = "administrators_added"
    ADMINISTRATORS_REMOVED: Final = "administrators_removed"
    HISTORY_OPENED: Final = "history_opened"
    HISTORY_CLOSED: Final = "history_closed"
    ANNOUNCEMENTS_BEGUN: Final = "announcements_begun"
    ANNOUNCEMENTS_ENDED: Final = "announcements_ended"
    CONVERSATION_ARCHIVED: Final = "conversation_archived"
    CONVERSATION_REOPENED: Final = "conversation_reopened"


MEMBERSHIP: Final = frozenset(
    (EntryKind.CONVERSATION_CREATED, EntryKind.PARTICIPANTS_ADDED, EntryKind.PARTICIPANTS_REMOVED)
)
"""The kinds that say who takes part."""


class MalformedFrame(ValueError):
    """A frame is not of the protocol; the text says what is wrong, for the one who sent it, for no log."""


class _Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op", tag=str.lower):
    """A frame: its class name in small letters is its `op`."""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender writes."""

    text: str


class Hello(_Frame, frozen=True, kw_only=True):
    """The first frame of a client: who it is and what it has; `limit` is entries a page."""

    token: str
    cursors: Cursors | None = None
    limit: Limit | None = None

    def __repr__(self) -> str:
        """Return a text without the token."""
        return "Hello(***)"


class Send(_Frame, frozen=True, kw_only=True):
    """A message; `id` is the client's own, so that sending it again makes nothing new.

    When it was sent is for the gateway to say: retention and holds depend on it.
    """

    id: UUID
    conversation: UUID
    body: Text


class Revise(_Frame, frozen=True, kw_only=True):
    """A new text for one's own message, which is named by the `seq` of its first entry.

    `id` is the client's own, and another than that of the message.
    """

    id: UUID
    conversation: UUID
    seq: Seq
    body: Text


class Retract(_Frame, frozen=True, kw_only=True):
    """Takes back the message whose first entry is at `seq`; who said something else needs a `reason`."""

    id: UUID
    conversation: UUID
    seq: Seq
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)] | None = None


class Mark(_Frame, frozen=True, kw_only=True):
    """How far this device has received (`delivered`) and its person has read (`read`)."""

    conversation: UUID
    delivered: Seq | None = None
    read: Seq | None = None


class Sync(_Frame, frozen=True, kw_only=True):
    """Asks for everything after the cursors, in pages that carry `ref`."""

    ref: Ref
    cursors: Cursors
    limit: Limit | None = None


class Ping(_Frame, frozen=True, kw_only=True):
    """Asks for a pong."""

    ref: Ref | None = None


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry's payload, unsealed.

    That is a message's `text`, a conversation's `name` or `topic`, or a retraction's `reason`.
    """

    text: str | None = None
    name: str | None = None
    reason: str | None = None
    topic: str | None = None


class Version(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The version of a message that is in force, where it is not the first: what its entry at `seq` says."""

    seq: Seq
    revision: int
    sent_at: Instant
    body: Body | None = None
    disposed: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of a conversation's log; a disposed one is a tombstone without body.

    A revision or retraction has the `message` of what it amends, and in `message_seq` the place of its first
    entry. A version that is `superseded`, and every version of what is `retracted`, has no body; the first
    entry of a revised message shows the `current` version, to those who may see that one.
    """

    seq: Seq
    kind: str
    revision: int
    actor: UUID
    sent_at: Instant
    committed_at: Instant
    members_version: int
    message: UUID | None = None
    body: Body | None = None
    disposed: bool = False
    subjects: tuple[UUID, ...] = ()
    message_seq: Seq | None = None
    superseded: bool = False
    retracted: bool = False
    current: Version | None = None


class ConversationEntries(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of one conversation, in order of `seq`."""

    conversation: UUID
    entries: tuple[Entry, ...]


class Welcome(_Frame, frozen=True, kw_only=True):
    """The answer to a hello; `resume` says whether pages of missed entries follow."""

    gateway: str
    principal: UUID
    session: UUID
    heartbeat_seconds: int
    resume: bool


class Ack(_Frame, frozen=True, kw_only=True):
    """The send, the revision or the retraction is committed: durable and in its place."""

    id: UUID
    conversation: UUID
    seq: Seq
    message: UUID
    committed_at: Instant


class Entries(_Frame, frozen=True, kw_only=True):
    """New entries of a conversation, live, in order."""

    conversation: UUID
    entries: tuple[Entry, ...]


class Page(_Frame, frozen=True, kw_only=True):
    """A part of the answer to a hello or a sync; the last one has `more` false."""

    ref: str
    entries: tuple[ConversationEntries, ...]
    more: bool
    cursors: Cursors


class Error(_Frame, frozen=True, kw_only=True):
    """A refusal; `ref` names the frame that it answers (a send's id, a sync's ref)."""

    problem: Problem
    ref: str | None = None


class Pong(_Frame, frozen=True, kw_only=True):
    """The answer to a ping."""

    ref: str | None = None


Utterance = Send | Revise | Retract
"""What is acknowledged by its `id` once it is committed."""
ClientFrame = Hello | Send | Revise | Retract | Mark | Sync | Ping
ServerFrame = Welcome | Ack | Entries | Page | Error | Pong
CLIENT_FRAMES: Final = (Hello, Send, Revise, Retract, Mark, Sync, Ping)
SERVER_FRAMES: Final = (Welcome, Ack, Entries, Page, Error, Pong)

_ENCODER = msgspec.json.Encoder()
_CLIENT_READER: msgspec.json.Decoder[ClientFrame] = msgspec.json.Decoder(ClientFrame)
_BODY_READER = msgspec.json.Decoder(Body)
_SERVER_READER: msgspec.json.Decoder[ServerFrame] = msgspec.json.Decoder(ServerFrame)


def encode_frame(frame: ClientFrame | ServerFrame) -> str:
    """Return the frame's text; a gateway encodes once and writes it to every socket."""
    return _ENCODER.encode(frame).decode()


def read_client_frame(text: str | bytes) -> ClientFrame:
    """Return the frame that a client sent. Raises MalformedFrame."""
    try:
        return _CLIENT_READER.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as defect:
        raise MalformedFrame(str(defect)) from None


def read_server_frame(text: str | bytes) -> ServerFrame:
    """Return the frame that a gateway sent. Raises MalformedFrame, also for an `op` of a later version."""
    try:
        return _SERVER_READER.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as defect:
        raise MalformedFrame(str(defect)) from None


def amended_by(shown: Entry, amendments: Iterable[Entry]) -> Entry:
    """Return an entry as it is shown once `amendments` of its conversation, in order of `seq`, are committed.

    What the log itself would tell: earlier versions have no text any more, nor has any of what is retracted.
    """
    for later in amendments:
        if later.message != shown.message or later.seq <= shown.seq:
            continue
        if later.kind == EntryKind.MESSAGE_RETRACTED or later.retracted:
            return msgspec.structs.replace(shown, body=None, current=None, retracted=True)
        current = None
        if shown.message_seq is None:
            current = Version(
                seq=later.seq,
                revision=later.revision,
                sent_at=later.sent_at,
                body=later.body,
                disposed=later.disposed,
            )
        shown = msgspec.structs.replace(shown, body=None, superseded=True, current=current)
    return shown


def body_bytes(body: Body) -> bytes:
    """Return a body as it is sealed and committed to; absent members leave no trace."""
    return _ENCODER.encode(body)


def body_of(clear: bytes) -> Body:
    """Return the body that `body_bytes` wrote, in this version or another. Raises MalformedFrame."""
    try:
        return _BODY_READER.decode(clear)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise MalformedFrame("the stored body is no body") from None
