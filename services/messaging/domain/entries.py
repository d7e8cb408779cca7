"""The entries of a conversation's log, and the acts that want to become entries."""

from datetime import datetime
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

from libs.kernel.ids import ConversationId, DekId, DeviceId, MessageId, PrincipalId, TenantId


class EntryKind(IntEnum):
    """What an entry records; the numbers are stored and never change their meaning."""

    CONVERSATION_CREATED = 1
    PARTICIPANTS_ADDED = 2
    PARTICIPANTS_REMOVED = 3
    MESSAGE_CREATED = 4
    MESSAGE_REVISED = 5
    MESSAGE_RETRACTED = 6
    NAME_CHANGED = 7
    TOPIC_CHANGED = 8
    ADMINISTRATORS_ADDED = 9
    ADMINISTRATORS_REMOVED = 10
    HISTORY_OPENED = 11
    HISTORY_CLOSED = 12
    ANNOUNCEMENTS_BEGUN = 13
    ANNOUNCEMENTS_ENDED = 14
    CONVERSATION_ARCHIVED = 15
    CONVERSATION_REOPENED = 16

    @property
    def changes_members(self) -> bool:
        """Whether this kind of entry makes a new version of the membership: who is there, and who may what.

        Whatever decides about a send does, so that one that was decided before is decided again.
        """
        return bool(_CHANGES_MEMBERS >> self & 1)

    @property
    def brings_in(self) -> bool:
        """Whether those whom this kind of entry names take part from it on."""
        return self in (EntryKind.CONVERSATION_CREATED, EntryKind.PARTICIPANTS_ADDED)

    @property
    def amends(self) -> bool:
        """Whether this kind of entry says something of an earlier message: a new text, or that it is none."""
        return self in (EntryKind.MESSAGE_REVISED, EntryKind.MESSAGE_RETRACTED)


# a number whose bits are kinds: the question is asked for every message that is sent
_CHANGES_MEMBERS: Final = sum(
    1 << kind
    for kind in (
        EntryKind.CONVERSATION_CREATED,
        EntryKind.PARTICIPANTS_ADDED,
        EntryKind.PARTICIPANTS_REMOVED,
        EntryKind.ADMINISTRATORS_ADDED,
        EntryKind.ADMINISTRATORS_REMOVED,
        EntryKind.ANNOUNCEMENTS_BEGUN,
        EntryKind.ANNOUNCEMENTS_ENDED,
        EntryKind.CONVERSATION_ARCHIVED,
        EntryKind.CONVERSATION_REOPENED,
    )
)


class ConversationKind(IntEnum):
    """One-to-one, a group, or correspondence that was imported; the numbers are stored."""

    DIRECT = 1
    GROUP = 2
    IMPORT = 3


class ConversationKey(NamedTuple):
    """Names one conversation of one tenant."""

    tenant: TenantId
    conversation: ConversationId

    def __hash__(self) -> int:
        """Return a hash of the conversation alone, which no two tenants share: this is looked up all day."""
        return hash(self.conversation.int)


class ClientKey(NamedTuple):
    """Names one send by the id that the client gave it."""

    tenant: TenantId
    principal: PrincipalId
    client_id: UUID

    def __hash__(self) -> int:
        """Return a hash of the client's own id alone: two senders choose the same one once in an age."""
        return hash(self.client_id.int)


class Provenance(NamedTuple):
    """Where an imported entry comes from: a source by its SHA-256 (32 bytes), and a line of it, from 1."""

    source: bytes
    line: int


class Draft(NamedTuple):
    """An act that was decided and waits for its commit.

    `members_version` is the version of the membership under which it was decided. `sealed` is the record
    of the body (an envelope, never clear text) under the data key `dek`; `body_commitment` covers the
    clear body; `metadata_salt` (16 bytes) salts the commitment to the metadata, and lies inside `sealed`
    where there is a body. `creates` is the kind of the conversation that the draft begins, None for every
    other act. `fingerprint` is a keyed hash of the body, which tells a repeated send from a
    conflict. `provenance` is None for whatever was not imported. An amendment bears the id of the message
    that it amends, whose first entry is at `message_seq`, and the next `revision` of it, a retraction too: so
    no two records of a message are sealed for the same place.
    """

    key: ConversationKey
    kind: EntryKind
    message: MessageId
    actor: PrincipalId
    device: DeviceId | None
    sent_at: datetime
    members_version: int
    metadata_salt: bytes
    creates: ConversationKind | None = None
    client_id: UUID | None = None
    fingerprint: bytes = b""
    subjects: tuple[PrincipalId, ...] = ()
    sealed: bytes | None = None
    dek: DekId | None = None
    body_commitment: bytes | None = None
    revision: int = 0
    provenance: Provenance | None = None
    message_seq: int | None = None


class Entry(NamedTuple):
    """One entry of a log: a draft that has its place, `seq`.

    `members_version` is the `seq` of the last entry, up to and including this one, that changes members.
    """

    draft: Draft
    seq: int
    members_version: int
    metadata_commitment: bytes
