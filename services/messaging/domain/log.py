"""The decision of a group commit: which drafts become entries, with which `seq`.

Pure: the store brings the locked heads and the client ids that exist, and writes what is decided here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from libs.evidence.entry import metadata_commitment
from libs.kernel.errors import DomainError
from libs.kernel.ids import ConversationId, MessageId
from services.messaging.domain.amendments import UNAMENDED, Amended, MessageKey
from services.messaging.domain.commitments import metadata_of
from services.messaging.domain.entries import ClientKey, ConversationKey, Draft, Entry, EntryKind
from services.messaging.domain.errors import ClientIdConflict, ConversationNotFound, MessageRetracted


class Head(NamedTuple):
    """Where a conversation's log stands: its last `seq` and the `seq` of its last membership entry."""

    last_seq: int
    members_version: int


class KnownSend(NamedTuple):
    """An earlier send under a client's id; an amendment says when it was made."""

    conversation: ConversationId
    seq: int
    message: MessageId
    fingerprint: bytes
    amended_at: datetime | None = None


class Appended(NamedTuple):
    """The draft became this entry."""

    entry: Entry


class Repeated(NamedTuple):
    """The same act was committed before, at this place; nothing new was made."""

    seq: int
    message: MessageId
    amended_at: datetime | None = None


class Stale(NamedTuple):
    """The membership, or the message to be amended, changed after the draft was decided: decide again."""

    members_version: int


class Refused(NamedTuple):
    """The draft cannot become an entry, for this reason."""

    reason: DomainError


Outcome = Appended | Repeated | Stale | Refused


@dataclass(slots=True)
class CommitPlan:
    """What a group commit writes: an outcome a draft, in their order, and the heads as they will stand."""

    outcomes: list[Outcome] = field(default_factory=list)
    heads: dict[ConversationKey, Head] = field(default_factory=dict)

    def entries(self) -> list[Entry]:
        """Return the new entries, in the order of their drafts."""
        return [outcome.entry for outcome in self.outcomes if isinstance(outcome, Appended)]


def client_key_of(draft: Draft) -> ClientKey | None:
    """Return the key under which a repeated send would be found, or None for acts without a client id."""
    if draft.client_id is None:
        return None
    return ClientKey(draft.key.tenant, draft.actor, draft.client_id)


def repeated(earlier: KnownSend) -> Repeated:
    """Return what is told of a send that was committed before."""
    return Repeated(earlier.seq, earlier.message, earlier.amended_at)


def _is_passed(draft: Draft, state: Amended) -> bool:
    """Tell whether the message that a draft amends has a later revision than it was decided under."""
    return draft.message_seq is not None and not state.retracted and draft.revision != state.revision + 1


def _known(entry: Entry) -> KnownSend:
    draft = entry.draft
    amended_at = None if draft.message_seq is None else draft.sent_at
    return KnownSend(draft.key.conversation, entry.seq, draft.message, draft.fingerprint, amended_at)


def message_key_of(draft: Draft) -> MessageKey | None:
    """Return which message a draft amends, or None for one that amends none."""
    return None if draft.message_seq is None else MessageKey(draft.key, draft.message_seq)


def plan_commit(
    drafts: Iterable[Draft],
    heads: Mapping[ConversationKey, Head],
    known: Mapping[ClientKey, KnownSend],
    amended: Mapping[MessageKey, Amended] | None = None,
) -> CommitPlan:
    """Decide one group commit: survivors get the next `seq` of their conversation, densely.

    `heads` are the locked heads (a conversation without one does not exist), `known` the sends that were
    committed before under the drafts' client ids, `amended` the messages that were amended before, of those
    that drafts amend. Two drafts with one client id in one batch count as a send and its repetition.
    """
    plan = CommitPlan()
    moved = dict(heads)
    seen = dict(known)
    states = dict(amended or {})
    for draft in drafts:
        message = message_key_of(draft)
        state = UNAMENDED if message is None else states.get(message, UNAMENDED)
        outcome = _outcome_of(draft, moved.get(draft.key), seen, state)
        plan.outcomes.append(outcome)
        if isinstance(outcome, Appended):
            entry = outcome.entry
            plan.heads[draft.key] = moved[draft.key] = Head(entry.seq, entry.members_version)
            if message is not None:
                states[message] = state.by(draft.kind)
            if (client := client_key_of(draft)) is not None:
                seen[client] = _known(entry)
    return plan


def _outcome_of(
    draft: Draft, head: Head | None, seen: Mapping[ClientKey, KnownSend], state: Amended
) -> Outcome:
    """Decide one draft under the head, and the message that it amends, as they stand now."""
    if head is None:
        return Refused(ConversationNotFound(draft.key.conversation))
    client = client_key_of(draft)
    earlier = seen.get(client) if client is not None else None
    if client is not None and earlier is not None:
        same = earlier.conversation == draft.key.conversation and earlier.fingerprint == draft.fingerprint
        return repeated(earlier) if same else Refused(ClientIdConflict(client.client_id))
    if draft.kind is EntryKind.CONVERSATION_CREATED and head.last_seq > 0:
        return Repeated(1, draft.message)
    if draft.members_version != head.members_version or _is_passed(draft, state):
        return Stale(head.members_version)
    if draft.message_seq is not None and state.retracted:
        return Refused(MessageRetracted(draft.message_seq))
    seq = head.last_seq + 1
    return Appended(
        Entry(
            draft=draft,
            seq=seq,
            members_version=seq if draft.kind.changes_members else head.members_version,
            metadata_commitment=metadata_commitment(metadata_of(draft.key, draft, seq), draft.metadata_salt),
        )
    )
