"""What a production is made from, entry by entry, in the order of conversation and `seq`."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from libs.evidence.bundle import Commit
from libs.evidence.production.manifest import Reason

_WORD = re.compile(r"[a-z][a-z0-9-]{0,63}", re.ASCII)


class Kind(StrEnum):
    """What an entry records, as productions tell it."""

    MESSAGE = "message"
    REVISION = "revision"
    RETRACTION = "retraction"
    REACTION = "reaction"
    CREATED = "created"
    JOINED = "joined"
    LEFT = "left"
    NAMED = "named"
    TOPIC = "topic"
    APPOINTED = "appointed"
    DISMISSED = "dismissed"
    HISTORY_OPENED = "history-opened"
    HISTORY_CLOSED = "history-closed"
    ANNOUNCEMENTS_BEGUN = "announcements-begun"
    ANNOUNCEMENTS_ENDED = "announcements-ended"
    ARCHIVED = "archived"
    REOPENED = "reopened"
    OTHER = "other"

    @property
    def is_said(self) -> bool:
        """Whether the entry is a text that somebody sent."""
        return self in (Kind.MESSAGE, Kind.REVISION)


@dataclass(frozen=True, slots=True)
class Person:
    """A participant as the directory names him; imported ones have a pseudonym."""

    id: UUID
    name: str
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation, and everybody who ever took part in it or is spoken of in its entries."""

    id: UUID
    kind: str
    name: str
    people: tuple[Person, ...]
    by_id: Mapping[UUID, Person] = field(init=False, repr=False, compare=False)
    """The people by their ids: made once, for every entry asks."""

    def __post_init__(self) -> None:
        """Know the people by their ids."""
        object.__setattr__(self, "by_id", {person.id: person for person in self.people})

    @property
    def is_direct(self) -> bool:
        """Whether its participants never change."""
        return self.kind == "direct"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What proves an entry: its commit, its path there, and each half with its salt or as its commitment.

    The body itself is the item's, or, where `body_member` is set, has the item's text as its one member of
    that name. Metadata are canonical bytes.
    """

    commit: Commit
    path: Sequence[bytes]
    metadata: bytes | None = None
    metadata_salt: bytes | None = None
    metadata_commitment: bytes | None = None
    body_salt: bytes | None = None
    body_commitment: bytes | None = None
    body_member: str | None = None


@dataclass(frozen=True, slots=True)
class Produced:
    """An entry that is handed over.

    `audience` are those who were there when it was sent, with the sender. `body` is clear, None where the
    entry has none. `previous` is the text that a revision replaces, `parent` the message that is answered,
    revised, retracted or reacted to. `redacted`: the body is not the one that was committed. A version is
    `superseded_by` the entry of the next one, and `retracted_by` that of its message's retraction, as far as
    the production reaches.
    """

    conversation: Conversation
    seq: int
    kind: Kind
    message: UUID
    sent_at: datetime
    sender: UUID | None
    body: bytes | None
    revision: int = 0
    audience: tuple[UUID, ...] = ()
    subjects: tuple[UUID, ...] = ()
    previous: bytes | None = None
    parent: UUID | None = None
    redacted: bool = False
    evidence: Evidence | None = None
    superseded_by: int | None = None
    retracted_by: int | None = None


@dataclass(frozen=True, slots=True)
class Excluded:
    """An entry that is not handed over; `certificate` is the one under which it was destroyed."""

    conversation: UUID
    seq: int
    reason: Reason
    certificate: UUID | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class ExcludedRun:
    """Entries in a row, both ends included, that are not handed over for one reason, unproved."""

    conversation: UUID
    first: int
    last: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Failed:
    """An entry that should be handed over and cannot; `reason` is a word as `no-key`, never content."""

    conversation: UUID
    seq: int
    reason: str
    evidence: Evidence | None = None

    def __post_init__(self) -> None:
        """Refuse whatever could be content. Raises ValueError."""
        if not _WORD.fullmatch(self.reason):
            raise ValueError("the reason of a failure is a word")


Item = Produced | Excluded | ExcludedRun | Failed


class Numbered(NamedTuple):
    """An entry that is handed over, and its first and last page number, if the production has any."""

    item: Produced
    bates: tuple[str, str] | None


class File(NamedTuple):
    """A file of the production, whole: its path below the folder, and its bytes."""

    path: str
    data: bytes


def audiences_in(entries: Iterable[Numbered]) -> Iterator[tuple[Produced, tuple[UUID, ...]]]:
    """Give each entry with its audience, which is empty where the very same was given before.

    Entries in a row share one audience, and it may be thousands: who asks for all of them goes through it
    once, not once an entry.
    """
    given: dict[int, tuple[UUID, ...]] = {}
    for entry in entries:
        audience = entry.item.audience
        yield entry.item, () if id(audience) in given else audience
        given[id(audience)] = audience


def text_of(body: bytes | None) -> str | None:
    """Return a body as text, None where there is none or it is no UTF-8."""
    if body is None:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
