"""What productions are made from: conversations as the log committed to them, entries with their proofs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from libs.evidence.bundle import Commit
from libs.evidence.completeness import (
    ConversationHead,
    OpenedHead,
    membership_of,
    participants_tree,
)
from libs.evidence.production.manifest import Scope
from libs.kernel.ids import PrincipalId


class CommittedMap(NamedTuple):
    """What was last committed about all conversations of a tenant, by the act `act`."""

    act: UUID
    at: datetime
    root: bytes
    conversations: int


class Span(NamedTuple):
    """From which `seq` on, and up to which (None: still), somebody takes part; both are included."""

    principal: UUID
    from_seq: int
    until_seq: int | None


@dataclass(frozen=True, slots=True)
class Head:
    """A conversation of the map; `principals` are all who were there or sent anything up to `last_seq`."""

    conversation: UUID
    kind: str
    last_seq: int
    participants: bytes
    salt: bytes
    principals: tuple[UUID, ...]
    spans: tuple[Span, ...]

    @property
    def committed(self) -> ConversationHead:
        """What the map holds of it."""
        return ConversationHead(self.conversation, self.last_seq, self.participants)

    def is_in(self, scope: Scope) -> bool:
        """Tell whether its entries belong to a production of this scope."""
        if scope.conversations is not None and self.conversation not in scope.conversations:
            return False
        return scope.custodians is None or not set(scope.custodians).isdisjoint(self.principals)

    def opened(self, scope: Scope) -> OpenedHead:
        """Return what a production shows of it; its place in the map is added where it is named."""
        if scope.custodians is None:
            return OpenedHead(self.committed)
        members = tuple(membership_of(self.principals, self.salt, each) for each in scope.custodians)
        tree = participants_tree(self.principals, self.salt)
        return OpenedHead(self.committed, tree, self.salt, members)


class BodyState(StrEnum):
    """What became of an entry's body: NONE never was; the key of NO_KEY is gone; UNREADABLE does not open."""

    NONE = "none"
    CLEAR = "clear"
    DESTROYED = "destroyed"
    NO_KEY = "no-key"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """An entry of a conversation's log, opened as far as it can be, with what proves it.

    `body` is as it was sent. A salt is None where what it opens cannot be shown. `commit` is None for an
    entry from before the audit log, which nothing proves. A version of a message may be `superseded_by` the
    entry of the next one, or `retracted_by` that of its retraction.
    """

    seq: int
    kind: str
    message: UUID
    revision: int
    actor: UUID
    sent_at: datetime
    subjects: tuple[UUID, ...]
    state: BodyState
    commit: UUID | None
    path: tuple[bytes, ...]
    metadata: bytes
    metadata_commitment: bytes
    metadata_salt: bytes | None = None
    body: bytes | None = None
    body_salt: bytes | None = None
    body_commitment: bytes | None = None
    destroyed_by: UUID | None = None
    superseded_by: int | None = None
    retracted_by: int | None = None


class Proofs(NamedTuple):
    """Leaves of acts under one checkpoint; acts that it does not cover are left out."""

    checkpoint: bytes
    size: int
    acts: Mapping[UUID, Commit]


class There(NamedTuple):
    """Who took part at an entry: in the order of their ids, and as a set, for they may be thousands."""

    order: tuple[UUID, ...]
    ids: frozenset[PrincipalId]

    def with_author(self, author: UUID) -> "There":
        """Return them with whoever made the entry: the very same where he took part."""
        if author in self.ids:
            return self
        return There((*self.order, author), self.ids | {PrincipalId(author)})


class Presence:
    """Who took part in a conversation, entry by entry; going along is cheap, as few entries change it."""

    def __init__(self, spans: Collection[Span]) -> None:
        """Follow `spans`."""
        self._spans = spans
        bounds = {span.from_seq for span in spans}
        bounds |= {span.until_seq + 1 for span in spans if span.until_seq is not None}
        self._changes = frozenset(bounds)
        self._at = 0
        self._there = There((), frozenset())

    def at(self, seq: int) -> There:
        """Return who took part at an entry, the very same ones as long as nobody comes or goes."""
        if seq != self._at and (seq != self._at + 1 or seq in self._changes):
            there = frozenset(
                PrincipalId(span.principal)
                for span in self._spans
                if span.from_seq <= seq and (span.until_seq is None or seq <= span.until_seq)
            )
            self._there = There(tuple(sorted(there)), there)
        self._at = seq
        return self._there
