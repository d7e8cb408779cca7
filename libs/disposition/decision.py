"""The decision: hold > floor > erasure > explicit > implicit, the shortest > a retraction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from libs.disposition.claims import Erasure, Hold, Item, Lock, Rule, RuleKind, concerns, covers
from libs.disposition.period import BEGINNING, FOREVER, later
from libs.disposition.trace import PRECEDENCE, Step, Trace, Voice

# What its sender took back is hidden at once, and may be put on hold for this long before it is destroyed.
RETRACTION_GRACE: Final = timedelta(days=30)
_KEEPING: Final = (Voice.FLOOR, Voice.LOCK)


@dataclass(frozen=True, slots=True)
class Retain:
    """It stays as it is; `until` is when it will be due as things stand (None: nobody asks for its end)."""

    until: datetime | None
    trace: Trace


@dataclass(frozen=True, slots=True)
class Preserve:
    """Holds keep it, by their ids in order; from `due_at` on (None: never) participants do not see it."""

    holds: tuple[UUID, ...]
    due_at: datetime | None
    trace: Trace


@dataclass(frozen=True, slots=True)
class Dispose:
    """It is due: hidden since `due_at`, and to be destroyed from `destroy_at` on, never before."""

    due_at: datetime
    destroy_at: datetime
    trace: Trace


Disposition = Retain | Preserve | Dispose


class Standing(StrEnum):
    """How an item stands at a moment."""

    RETAINED = "retained"
    PRESERVED = "preserved"
    HIDDEN = "hidden"
    RIPE = "ripe"


def disposition_of(
    item: Item,
    rules: Iterable[Rule],
    holds: Iterable[Hold],
    locks: Iterable[Lock],
    erasures: Iterable[Erasure],
    now: datetime,
) -> Disposition:
    """Return what becomes of the item at `now`, with everybody who spoke about it.

    It depends on nothing else, neither on the order nor on the repetition of what is given, and answers
    whatever it is given. Instants are aware. What is requested or retracted after `now` is not heard yet.
    """
    rules = set(rules)
    holding = _holding(item, holds)
    floors = _floors(item, rules, locks)
    asking = _asking(item, rules, erasures, now)
    kept_until = floors[0].at if floors else BEGINNING
    demand = _demand(asking, kept_until)
    won = holding or (floors[:1] if now < kept_until else demand.steps if demand else ())
    trace = tuple(replace(step, won=step in won) for step in (*holding, *floors, *asking))
    due_at = demand.due_at if demand else None
    if holding:
        return Preserve(tuple(sorted({step.source for step in holding if step.source})), due_at, trace)
    if demand is None or now < demand.due_at:
        return Retain(due_at, trace)
    return Dispose(demand.due_at, demand.destroy_at, trace)


def destroyer_of(disposition: Dispose) -> Step:
    """Return who has an item destroyed: of the voices that won, the strongest that asks for that date."""
    kept_until = max((step.at for step in disposition.trace if step.voice in _KEEPING), default=BEGINNING)
    return next(
        step
        for step in disposition.trace
        if step.won and _destroy_at(step, kept_until) == disposition.destroy_at
    )


def standing_of(disposition: Disposition, now: datetime) -> Standing:
    """Return how an item stands at the moment for which its disposition was decided."""
    match disposition:
        case Preserve():
            return Standing.PRESERVED
        case Dispose(destroy_at=destroy_at):
            return Standing.RIPE if destroy_at <= now else Standing.HIDDEN
        case Retain():
            return Standing.RETAINED


class _Demand(NamedTuple):
    """When the strongest who ask for disposition have it, and the steps that make it so."""

    due_at: datetime
    destroy_at: datetime
    steps: tuple[Step, ...]


def _holding(item: Item, holds: Iterable[Hold]) -> list[Step]:
    """Return the holds that cover the item."""
    steps = {Step(Voice.HOLD, hold.hold, None, FOREVER) for hold in holds if covers(hold, item)}
    return sorted(steps, key=_name)


def _floors(item: Item, rules: Iterable[Rule], locks: Iterable[Lock]) -> list[Step]:
    """Return the floors under the item, locks among them, the longest first."""
    steps = {
        Step(Voice.FLOOR, rule.rule, rule.version, rule.period.end(item.sent_at))
        for rule in rules
        if rule.kind is RuleKind.FLOOR and rule.binds(item.conversation_type, item.conversation)
    } | {
        Step(Voice.LOCK, lock.lock, None, lock.period.end(item.sent_at))
        for lock in locks
        if lock.binds(item.conversation_type)
    }
    return sorted(steps, key=lambda step: (FOREVER - step.at, _name(step)))


def _asking(item: Item, rules: Iterable[Rule], erasures: Iterable[Erasure], now: datetime) -> list[Step]:
    """Return who asks for the item's disposition, the strongest first, of equals the soonest."""
    steps = {
        Step(Voice.ERASURE, erasure.erasure, None, erasure.requested_at)
        for erasure in erasures
        if concerns(erasure, item) and erasure.requested_at <= now
    } | {
        Step(
            Voice.EXPLICIT if rule.is_explicit else Voice.IMPLICIT,
            rule.rule,
            rule.version,
            rule.period.end(item.sent_at),
            rule.grace,
        )
        for rule in rules
        if rule.kind is RuleKind.DELETION and rule.binds(item.conversation_type, item.conversation)
    }
    if item.retracted_at is not None and item.retracted_at <= now:
        steps.add(Step(Voice.RETRACTION, None, None, item.retracted_at, RETRACTION_GRACE))
    return sorted(steps, key=lambda step: (PRECEDENCE[step.voice], step.at, step.grace, _name(step)))


def _demand(asking: Sequence[Step], kept_until: datetime) -> _Demand | None:
    """Return what those who ask for disposition come to, no sooner than `kept_until`; None if nobody asks.

    Erasures are heard, and the strongest of the others. The shortest wins twice: the first to be due hides
    the item, and the first whose grace is over destroys it; at one date it is the stronger. Mostly both are
    one. So an erasure or an equal rule more never makes anything stay longer.
    """
    if not asking:
        return None
    strongest = min((PRECEDENCE[step.voice] for step in asking if step.voice is not Voice.ERASURE), default=0)
    heard = [step for step in asking if step.voice is Voice.ERASURE or PRECEDENCE[step.voice] == strongest]
    hides = min(heard, key=lambda step: max(step.at, kept_until))
    destroys = min(heard, key=lambda step: _destroy_at(step, kept_until))
    due_at = max(hides.at, kept_until)
    return _Demand(due_at, _destroy_at(destroys, kept_until), (hides, destroys))


def _destroy_at(step: Step, kept_until: datetime) -> datetime:
    return later(max(step.at, kept_until), step.grace)


def _name(step: Step) -> tuple[str, str, int]:
    """Return what tells a step from its equals, so that their order never depends on what was given."""
    return step.voice, str(step.source), step.version or 0
