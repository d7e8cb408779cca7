"""What is found due in the log: counts of classes, and the samples by which they are checked. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from libs.disposition.claims import Erasure, Hold, Item, Lock, Rule
from libs.disposition.classes import DispositionClass
from libs.disposition.decision import (
    Dispose,
    Disposition,
    Preserve,
    Retain,
    destroyer_of,
    disposition_of,
)
from libs.disposition.trace import Step
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


class Planned(NamedTuple):
    """An item whose turn has come in a run; `bytes` is the size of its sealed body, None if that is gone."""

    place: Place
    item: Item
    bytes: int | None


class RunCounts(NamedTuple):
    """What a run has done: items hidden, destroyed and spared, bytes of what was destroyed, its data keys."""

    hidden: int
    destroyed: int
    spared: int
    bytes: int
    deks: int


class Why(NamedTuple):
    """Why an item is destroyed: when it was due, from when it may be destroyed, and whose word that is."""

    due_at: datetime
    destroy_at: datetime
    step: Step


class Disposals(NamedTuple):
    """What becomes of the items of a batch: hidden, destroyed of those (and why, in their order), spared."""

    hidden: tuple[Planned, ...]
    destroyed: tuple[Planned, ...]
    why: tuple[Why, ...]
    spared: int


def decide_batch(planned: Sequence[Planned], claims: Claims) -> Disposals:
    """Return what becomes of each item, by its own decision, whatever was planned.

    What is due is hidden, even if a hold keeps it; what is ripe is destroyed too. Anything else is spared.
    """
    hidden: list[Planned] = []
    destroyed: list[Planned] = []
    why: list[Why] = []
    left = [each for each in planned if each.bytes is not None]
    for each in left:
        decision = disposition_of(each.item, *claims)
        standing = standing_of(decision, claims.as_of)
        if standing is not Standing.RETAINED:
            hidden.append(each)
        if isinstance(decision, Dispose) and standing is Standing.RIPE:
            destroyed.append(each)
            why.append(Why(decision.due_at, decision.destroy_at, destroyer_of(decision)))
    return Disposals(tuple(hidden), tuple(destroyed), tuple(why), len(left) - len(hidden))
