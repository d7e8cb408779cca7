"""An item, and all that may have a claim on it: rules, preservation locks, holds, requests for erasure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from libs.disposition.errors import PeriodRefused
from libs.disposition.period import Period


@dataclass(frozen=True, slots=True)
class Item:
    """One version of a message, or what hangs on it, as far as a decision needs to know it.

    `audience` is who took part in the conversation when it was sent; instants are aware. A sender is None
    where nobody of the directory sent it.
    """

    conversation: UUID
    conversation_type: str
    sent_at: datetime
    sender: UUID | None
    audience: frozenset[UUID]
    retracted_at: datetime | None = None


class RuleKind(StrEnum):
    """A floor says how long an item must be kept, a deletion how long it may be."""

    FLOOR = "floor"
    DELETION = "deletion"


@dataclass(frozen=True, slots=True)
class Rule:
    """A retention rule, for a period from `sent_at`.

    It is *explicit* if it names conversations, otherwise *implicit*: it then binds by type, or all (None).
    What a deletion has made due is hidden, and destroyed `grace` later; a floor has no use for grace.
    """

    rule: UUID
    version: int
    kind: RuleKind
    period: Period
    conversation_types: frozenset[str] | None = None
    conversations: frozenset[UUID] | None = None
    grace: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        """Refuse a negative grace. Raises PeriodRefused."""
        if self.grace < timedelta(0):
            raise PeriodRefused("the time of grace is not negative")

    @property
    def is_explicit(self) -> bool:
        """Whether it names the conversations that it binds."""
        return self.conversations is not None

    def binds(self, conversation_type: str, conversation: UUID | None) -> bool:
        """Return whether it binds this conversation (None: one of the type that nothing names)."""
        return (self.conversation_types is None or conversation_type in self.conversation_types) and (
            self.conversations is None or conversation in self.conversations
        )


@dataclass(frozen=True, slots=True)
class Lock:
    """A preservation lock: a floor that can only be extended, by conversation type or for all (None)."""

    lock: UUID
    period: Period
    conversation_types: frozenset[str] | None = None

    def binds(self, conversation_type: str) -> bool:
        """Return whether it binds conversations of this type."""
        return self.conversation_types is None or conversation_type in self.conversation_types

    def extended_to(self, period: Period, conversation_types: frozenset[str] | None) -> "Lock":
        """Return this lock with a longer period or more types. Raises PeriodRefused for less of either."""
        if not period.reaches(self.period):
            raise PeriodRefused(f"a preservation lock of {self.period} is not shortened")
        if conversation_types is not None and (
            self.conversation_types is None or not self.conversation_types <= conversation_types
        ):
            raise PeriodRefused("a preservation lock does not let go of a conversation type")
        return Lock(self.lock, period, conversation_types)


@dataclass(frozen=True, slots=True)
class Hold:
    """The order to preserve what these custodians sent or received, and all of these conversations.

    It concerns what was sent from `since` on and before `until`; None is open. One that names neither
    custodians nor conversations concerns everything of that time.
    """

    hold: UUID
    custodians: frozenset[UUID] = frozenset()
    conversations: frozenset[UUID] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    @property
    def names_all(self) -> bool:
        """Whether it names nobody and nothing, and so concerns everything of its time."""
        return not self.custodians and not self.conversations


@dataclass(frozen=True, slots=True)
class Erasure:
    """A person's request to erase what he had sent up to then (GDPR, article 17)."""

    erasure: UUID
    subject: UUID
    requested_at: datetime


def in_range(sent_at: datetime, since: datetime | None, until: datetime | None) -> bool:
    """Return whether `sent_at` is not before `since` and before `until`; None is open."""
    return (since is None or since <= sent_at) and (until is None or sent_at < until)


def covers(hold: Hold, item: Item) -> bool:
    """Return whether the hold preserves the item."""
    return in_range(item.sent_at, hold.since, hold.until) and (
        hold.names_all
        or item.conversation in hold.conversations
        or item.sender in hold.custodians
        or not hold.custodians.isdisjoint(item.audience)
    )


def concerns(erasure: Erasure, item: Item) -> bool:
    """Return whether the item is the subject's own, and had been sent when erasure was requested."""
    return item.sender == erasure.subject and item.sent_at <= erasure.requested_at
