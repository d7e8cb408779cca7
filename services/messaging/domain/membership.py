"""Who takes part in a conversation, and which changes of that are allowed."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from libs.kernel.ids import ConversationId, PrincipalId, TenantId
from services.messaging.domain.entries import ConversationKind
from services.messaging.domain.errors import (
    DirectIsFixed,
    LastAdministrator,
    ParticipantUnknown,
    SizeRefused,
)
from services.messaging.domain.names import named
from services.messaging.domain.terms import DEFAULT_TERMS, Terms

LEAST_PARTICIPANTS = 2
MOST_PARTICIPANTS = 1000
"""Where the organisation sets no other limit, and of whom one act can speak."""
DIRECT_PARTICIPANTS = 2


class Span(NamedTuple):
    """A stretch of a log that a principal may see: from `from_seq` to `until_seq`, both included.

    `until_seq` is None while he takes part.
    """

    from_seq: int
    until_seq: int | None


class Members(NamedTuple):
    """Who takes part in a conversation, and who of them are its administrators."""

    present: frozenset[PrincipalId]
    administrators: frozenset[PrincipalId]


NOBODY: Final = Members(frozenset(), frozenset())


def joined_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the stretches that `spans` come to together, in order, none of which meet.

    Who came back to a conversation whose history is open to those who come sees again what he saw before.
    """
    joined: list[Span] = []
    for span in sorted(spans, key=lambda one: one.from_seq):
        last = joined[-1] if joined else None
        if last is None or (last.until_seq is not None and span.from_seq > last.until_seq + 1):
            joined.append(span)
        elif last.until_seq is not None:
            until = None if span.until_seq is None else max(last.until_seq, span.until_seq)
            joined[-1] = Span(last.from_seq, until)
    return tuple(joined)


class Missed(NamedTuple):
    """Entries that a device lacks: `after` (exclusive) to `until` (included)."""

    after: int
    until: int


class Standing(NamedTuple):
    """How one principal stands to a conversation: his spans in order, at least one, its terms and the head.

    The head is as it was when this was read: a hint, which the commit holds against the locked head.
    """

    kind: ConversationKind
    spans: tuple[Span, ...]
    administrator: bool
    last_seq: int
    members_version: int
    terms: Terms = DEFAULT_TERMS

    @property
    def takes_part(self) -> bool:
        """Whether the principal is a participant now."""
        return self.spans[-1].until_seq is None

    @property
    def shown_terms(self) -> Terms:
        """The terms as the principal may know them: who has left is told nothing of what came later."""
        return self.terms if self.takes_part else DEFAULT_TERMS

    @property
    def last_visible(self) -> int:
        """The last `seq` that the principal may see."""
        until = self.spans[-1].until_seq
        return self.last_seq if until is None else until

    def sees(self, first: int, last: int) -> bool:
        """Tell whether the entries from `first` to `last` are all there, and the principal may see them."""
        seen = first
        for span in self.spans:
            until = self.last_seq if span.until_seq is None else span.until_seq
            if span.from_seq <= seen <= until:
                seen = until + 1
        return first <= last < seen

    def sees_at(self, seq: int) -> bool:
        """Tell whether the principal may see the entry at `seq`, which is there."""
        return self.sees(seq, seq)

    def missed(self, cursor: int, last_seq: int) -> list[Missed]:
        """Return, in order, what a device at `cursor` lacks of a log that ends at `last_seq`."""
        ranges = (
            Missed(max(cursor, span.from_seq - 1), last_seq if span.until_seq is None else span.until_seq)
            for span in self.spans
        )
        return [missed for missed in ranges if missed.after < missed.until]


class Audiences:
    """Who took part in entries, by the spans of their conversations; the same people are `found` once."""

    def __init__(self, spans: Mapping[ConversationId, Sequence[tuple[PrincipalId, Span]]]) -> None:
        """Look in `spans`; who took part is given in their order."""
        self.found: list[tuple[PrincipalId, ...]] = []
        self._spans = spans
        self._changes = {name: _changes_of(some) for name, some in spans.items()}
        self._stretches: dict[tuple[ConversationId, int], int] = {}
        self._places: dict[tuple[PrincipalId, ...], int] = {}

    def place_of(self, conversation: ConversationId, seq: int) -> int:
        """Return the place in `found` of those who took part at an entry."""
        stretch = (conversation, bisect_right(self._changes.get(conversation, ()), seq))
        place = self._stretches.get(stretch)
        if place is None:
            place = self._stretches[stretch] = self._placed(conversation, seq)
        return place

    def _placed(self, conversation: ConversationId, seq: int) -> int:
        there = (
            principal
            for principal, span in self._spans.get(conversation, ())
            if span.from_seq <= seq and (span.until_seq is None or seq <= span.until_seq)
        )
        audience = tuple(dict.fromkeys(there))
        place = self._places.setdefault(audience, len(self.found))
        if place == len(self.found):
            self.found.append(audience)
        return place


def _changes_of(spans: Sequence[tuple[PrincipalId, Span]]) -> list[int]:
    """Return the entries from which on others take part."""
    begins = {span.from_seq for _, span in spans}
    return sorted(begins | {span.until_seq + 1 for _, span in spans if span.until_seq is not None})


@dataclass(frozen=True, slots=True)
class ConversationFacts:
    """What the policies may know of a conversation: yes-or-no facts named in the policies' schema."""

    tenant: TenantId
    holding: frozenset[str]
    kind: str = "Conversation"


_FACTS = {
    (takes_part, administrator, kind, announcements, archived): frozenset(
        ["participant" if takes_part else "former_participant"]
        + ["administrator"] * administrator
        + ["direct"] * (kind is ConversationKind.DIRECT)
        + ["imported"] * (kind is ConversationKind.IMPORT)
        + ["announcements"] * announcements
        + ["archived"] * archived
    )
    for takes_part in (True, False)
    for administrator in (True, False)
    for kind in ConversationKind
    for announcements in (True, False)
    for archived in (True, False)
}


def holding_of(standing: Standing) -> frozenset[str]:
    """Return the facts that hold for a conversation as one principal stands to it, by their names."""
    terms = standing.terms
    return _FACTS[
        standing.takes_part, standing.administrator, standing.kind, terms.announcements, terms.archived
    ]


def facts_of(tenant: TenantId, standing: Standing) -> ConversationFacts:
    """Return what the policies may know of a conversation as one principal stands to it."""
    return ConversationFacts(tenant, holding_of(standing))


def decide_participants(
    creator: PrincipalId,
    others: Iterable[PrincipalId],
    kind: ConversationKind,
    most_in_a_group: int = MOST_PARTICIPANTS,
) -> tuple[PrincipalId, ...]:
    """Return a new conversation's participants, the creator first, each once.

    Raises SizeRefused outside of 2 (exactly 2 for one-to-one) to `most_in_a_group`.
    """
    participants = tuple(dict.fromkeys((creator, *others)))
    most = DIRECT_PARTICIPANTS if kind is ConversationKind.DIRECT else most_in_a_group
    if not LEAST_PARTICIPANTS <= len(participants) <= most:
        raise SizeRefused(len(participants), LEAST_PARTICIPANTS, most)
    return participants


def decide_added(
    conversation: ConversationId,
    kind: ConversationKind,
    members: Members,
    wanted: Iterable[PrincipalId],
    most: int = MOST_PARTICIPANTS,
) -> tuple[PrincipalId, ...]:
    """Return those of `wanted` who are not yet present.

    Raises DirectIsFixed for one-to-one conversations and SizeRefused above `most` participants.
    """
    if kind is ConversationKind.DIRECT:
        raise DirectIsFixed(conversation)
    added = tuple(principal for principal in dict.fromkeys(wanted) if principal not in members.present)
    count = len(members.present) + len(added)
    if added and count > most:
        raise SizeRefused(count, LEAST_PARTICIPANTS, most)
    return added


def decide_removed(
    conversation: ConversationId,
    kind: ConversationKind,
    members: Members,
    unwanted: Iterable[PrincipalId],
) -> tuple[PrincipalId, ...]:
    """Return those of `unwanted` who are present.

    Raises DirectIsFixed for one-to-one conversations, and LastAdministrator where those who remain would
    have no administrator any more.
    """
    if kind is ConversationKind.DIRECT:
        raise DirectIsFixed(conversation)
    removed = tuple(principal for principal in dict.fromkeys(unwanted) if principal in members.present)
    if members.present.difference(removed):
        _require_administrator(conversation, members, removed)
    return removed


def decide_appointed(members: Members, wanted: Iterable[PrincipalId]) -> tuple[PrincipalId, ...]:
    """Return those of `wanted` who are no administrators yet. Raises ParticipantUnknown for a stranger."""
    named = tuple(dict.fromkeys(wanted))
    for principal in named:
        if principal not in members.present:
            raise ParticipantUnknown(principal)
    return tuple(principal for principal in named if principal not in members.administrators)


def decide_dismissed(
    conversation: ConversationId, members: Members, unwanted: Iterable[PrincipalId]
) -> tuple[PrincipalId, ...]:
    """Return those of `unwanted` who are administrators. Raises LastAdministrator where none would remain."""
    dismissed = tuple(each for each in dict.fromkeys(unwanted) if each in members.administrators)
    _require_administrator(conversation, members, dismissed)
    return dismissed


def _require_administrator(
    conversation: ConversationId, members: Members, leaving: Iterable[PrincipalId]
) -> None:
    """Raise LastAdministrator if of a conversation's administrators none would remain."""
    if members.administrators and not members.administrators.difference(leaving):
        raise LastAdministrator(conversation)


def direct_conversation_of(tenant: TenantId, one: PrincipalId, other: PrincipalId) -> ConversationId:
    """Return the id of the one-to-one conversation of two principals: the same whoever asks.

    A pair has one conversation without a race, because the id is a function of the pair.
    """
    return ConversationId(named(b"muniment/direct/v1", tenant.bytes, *sorted((one.bytes, other.bytes))))


def group_conversation_of(tenant: TenantId, creator: PrincipalId, client_id: UUID) -> ConversationId:
    """Return the id of the group that `creator` makes under `client_id`: making it again is the same."""
    return ConversationId(named(b"muniment/group/v1", tenant.bytes, creator.bytes, client_id.bytes))
