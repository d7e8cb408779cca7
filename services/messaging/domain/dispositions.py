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


class Box(NamedTuple):
    """Where the items of a plan lie: those of a conversation with `seq` and `sent_at` within these bounds.

    Of them those that `sender` sent; None: those of nobody whom a hold or a request for erasure names. It is
    `whole` when every entry within its `seq`s is one of them.
    """

    conversation: UUID
    first_seq: int
    last_seq: int
    first_at: datetime
    last_at: datetime
    sender: UUID | None
    whole: bool


class Planned(NamedTuple):
    """Items whose turn has come in a run, for all of whom the same voices speak: `libs.disposition.voices`.

    `number` is their place in the plan; `earliest` and `latest` are sent when the first and last of them
    were.
    """

    number: int
    box: Box
    items: int
    earliest: Item
    latest: Item


class Stretch(NamedTuple):
    """Items of a conversation that follow each other, both ends included; `bytes` are all of theirs."""

    conversation: UUID
    first_seq: int
    last_seq: int
    bytes: int


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
    """What becomes of the items of a batch: only hidden, destroyed, or (so many items) spared."""

    hidden: tuple[Planned, ...]
    destroyed: tuple[Planned, ...]
    spared: int


def decide_batch(planned: Sequence[Planned], claims: Claims) -> Disposals:
    """Return what becomes of items by the decisions about the earliest and the latest, whatever was planned.

    What is due is hidden, even if a hold keeps it; what is ripe is destroyed. Anything else is spared. Where
    both are not decided alike, nothing is done to any of them that would not be done to both.
    """
    hidden: list[Planned] = []
    destroyed: list[Planned] = []
    spared = 0
    for each in planned:
        found = {
            standing_of(disposition_of(item, *claims), claims.as_of) for item in (each.earliest, each.latest)
        }
        if found == {Standing.RIPE}:
            destroyed.append(each)
        elif Standing.RETAINED in found:
            spared += each.items
        else:
            hidden.append(each)
    return Disposals(tuple(hidden), tuple(destroyed), spared)


def why_destroyed(item: Item, claims: Claims) -> Why | None:
    """Return why an item was destroyed by who had these claims; None if they would not have it destroyed.

    No hold is among the claims: none covered the item, or it would be there.
    """
    decision = disposition_of(item, *claims)
    if isinstance(decision, Dispose) and standing_of(decision, claims.as_of) is Standing.RIPE:
        return Why(decision.due_at, decision.destroy_at, destroyer_of(decision))
    return None
