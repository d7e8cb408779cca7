"""What is found due in the log: counts of classes, and the samples by which they are checked. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from libs.disposition.claims import Erasure, Hold, Item, Lock, Rule
from libs.disposition.classes import DispositionClass
from libs.disposition.decision import Dispose, Disposition, Preserve, Retain
from services.messaging.domain.entries import ConversationKind

TYPES: Final[Mapping[ConversationKind, str]] = MappingProxyType(
    {
        ConversationKind.DIRECT: "direct",
        ConversationKind.GROUP: "group",
        ConversationKind.IMPORT: "import",
    }
)
"""Kind of conversation → the type that rules name."""


class Standing(StrEnum):
    """How an item stands: what a hold keeps counts as preserved once it is due, and as retained before."""

    RETAINED = "retained"
    PRESERVED = "preserved"
    HIDDEN = "hidden"
    RIPE = "ripe"


class Claims(NamedTuple):
    """All that has a claim on the items of a tenant, at a moment."""

    rules: Sequence[Rule]
    holds: Sequence[Hold]
    locks: Sequence[Lock]
    erasures: Sequence[Erasure]
    as_of: datetime


class Place(NamedTuple):
    """Where an item lies."""

    conversation: UUID
    seq: int


class Tally(NamedTuple):
    """Items of one class (by its number) that stand alike, with some of them as samples."""

    number: int
    standing: Standing
    items: int
    bytes: int
    first_at: datetime
    last_at: datetime
    samples: tuple[Place, ...]


def standing_of(disposition: Disposition, now: datetime) -> Standing:
    """Return how an item stands by its own decision."""
    match disposition:
        case Retain():
            return Standing.RETAINED
        case Preserve(due_at=due_at):
            return Standing.RETAINED if due_at is None or due_at > now else Standing.PRESERVED
        case Dispose(destroy_at=destroy_at):
            return Standing.RIPE if destroy_at <= now else Standing.HIDDEN


def in_order(classes: Sequence[DispositionClass]) -> list[DispositionClass]:
    """Return classes in the one order in which they are told of: their counts are hashed."""
    return sorted(
        classes,
        key=lambda each: (
            each.conversation_type,
            each.conversations is not None,
            sorted(each.conversations or ()),
        ),
    )


class Sampled(NamedTuple):
    """An item of a sample, as far as its decision needs to know it."""

    place: Place
    item: Item
