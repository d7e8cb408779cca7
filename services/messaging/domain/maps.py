"""The map of all conversations of a tenant: where each stands, and who ever took part in it."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.evidence.completeness import ConversationHead, participants_tree
from libs.kernel.ids import ConversationId, PrincipalId
from libs.merkle.hashing import HASH_BYTES
from libs.merkle.tree import root_of


class Moved(NamedTuple):
    """A conversation that stands elsewhere than in the last map, or is not in it yet: `salt` is None then.

    `joined` took part since; `known` are all others who ever did, told only where somebody joined.
    """

    conversation: ConversationId
    last_seq: int
    salt: bytes | None
    participants: bytes | None
    joined: tuple[PrincipalId, ...]
    known: tuple[PrincipalId, ...]


class Mapped(NamedTuple):
    """A conversation as the next map has it, and who is in it for the first time."""

    head: ConversationHead
    salt: bytes
    joined: tuple[PrincipalId, ...]


def mapped(moved: Moved, new_salt: bytes) -> Mapped:
    """Return where a conversation stands in the next map; it gets `new_salt` if it has none.

    The commitment to its participants stays where nobody joined: tags in a tree are many hashes.
    """
    salt = new_salt if moved.salt is None else moved.salt
    participants = moved.participants
    if participants is None or moved.joined:
        participants = participants_tree((*moved.known, *moved.joined), salt).commitment()
    return Mapped(ConversationHead(moved.conversation, moved.last_seq, participants), salt, moved.joined)


def root_over(hashes: bytes) -> bytes:
    """Return the root over leaf hashes that stand side by side: that of the map with these leaves."""
    return root_of([hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)])


class MapSpan(NamedTuple):
    """From which `seq` on, and up to which (None: still), somebody takes part."""

    principal: PrincipalId
    from_seq: int
    until_seq: int | None


class MappedConversation(NamedTuple):
    """A conversation of a committed map, with whom its commitment to participants is over."""

    head: ConversationHead
    kind: str
    salt: bytes
    principals: tuple[PrincipalId, ...]
    spans: tuple[MapSpan, ...]


def spans_at(spans: tuple[MapSpan, ...], last_seq: int) -> tuple[MapSpan, ...]:
    """Return spans as they stood when `last_seq` was the conversation's last entry."""
    return tuple(
        span if span.until_seq is None or span.until_seq <= last_seq else span._replace(until_seq=None)
        for span in spans
        if span.from_seq <= last_seq
    )


class CommittedMap(NamedTuple):
    """A map that was committed: its number within the tenant, and the act that the audit log was told."""

    number: int
    act: UUID
    at: datetime
    root: bytes
    conversations: int
