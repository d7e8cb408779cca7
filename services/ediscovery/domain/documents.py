"""What an index knows of one version of a message, and how it changes: ids, times and tokens, no body."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from libs.kernel.ids import ConversationId, MessageId, PrincipalId
from services.ediscovery.domain.tokens import tokens_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


EDITED: Final = "=edited"
DELETED: Final = "=deleted"
"""Marks of documents: what `tokens_of` would make of no text, so that a mark is searched for as a word is."""


class DocumentKey(NamedTuple):
    """Names one version of a message: the entry of its conversation's log."""

    conversation: ConversationId
    seq: int


class Standing(NamedTuple):
    """Where a hit stands among all hits: they are ordered by this."""

    sent_at: datetime
    conversation: ConversationId
    seq: int


class Period(NamedTuple):
    """A month of `sent_at` in UTC; each tenant has one index for each."""

    year: int
    month: int

    def __str__(self) -> str:
        """Return the period as in 2026-03."""
        return f"{self.year:04}-{self.month:02}"


@dataclass(frozen=True)
class Document:
    """One version of a message as it is indexed.

    `participants` are those of the conversation when it was sent, with the sender. `tokens` are its body's
    words by the one tokenizer, in order, and then its marks.
    """

    key: DocumentKey
    message: MessageId
    sent_at: datetime
    sender: PrincipalId | None
    participants: frozenset[PrincipalId]
    tokens: tuple[str, ...]

    @property
    def standing(self) -> Standing:
        """Where it stands among hits."""
        return Standing(self.sent_at, *self.key)


class Hit(NamedTuple):
    """A document that matches, by its ids; its body is read and unsealed elsewhere."""

    key: DocumentKey
    message: MessageId
    sent_at: datetime
    sender: PrincipalId | None

    @property
    def standing(self) -> Standing:
        """Where it stands among hits: the next page begins after it."""
        return Standing(self.sent_at, *self.key)


class Put(NamedTuple):
    """A version came to be at `position` of its stream."""

    position: int
    document: Document


class Removal(NamedTuple):
    """A version is gone, by `position` of its stream: it matches nothing any more."""

    position: int
    key: DocumentKey


Change = Put | Removal


class Cursor(NamedTuple):
    """How far a stream was followed: one partition of an outbox, and the last position that was applied."""

    stream: str
    position: int


def document_of(
    key: DocumentKey,
    message: MessageId,
    sent_at: datetime,
    sender: PrincipalId | None,
    participants: Iterable[PrincipalId],
    body: str,
    marks: Iterable[str] = (),
) -> Document:
    """Return the document of a message whose clear text is `body`, which is not kept. `sent_at` is aware."""
    tokens = (*tokens_of(body), *marks)
    return Document(key, message, sent_at.astimezone(UTC), sender, frozenset(participants), tokens)


def marks_of(*, edited: bool, deleted: bool) -> tuple[str, ...]:
    """Return the marks of a version of a message that was `edited` at any time, or `deleted`."""
    return (EDITED,) * edited + (DELETED,) * deleted


def hit_of(document: Document) -> Hit:
    """Return what a search answers of a document that matches."""
    return Hit(document.key, document.message, document.sent_at, document.sender)


def period_of(sent_at: datetime) -> Period:
    """Return the month in UTC of an aware time."""
    utc = sent_at.astimezone(UTC)
    return Period(utc.year, utc.month)


def microseconds_of(instant: datetime) -> int:
    """Return the microseconds since 1970 of an aware time, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def instant_of(microseconds: int) -> datetime:
    """Return the time, in UTC, of `microseconds` since 1970."""
    return _EPOCH + microseconds * _MICROSECOND
