"""What ought to become of each message, said a second time and as plainly as can be.

Nothing here is the product's: the machine holds the product against it. Source: docs/retention-decision.md.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID


class Place(NamedTuple):
    """Where a message lies."""

    room: UUID
    seq: int


@dataclass(frozen=True)
class Said:
    """A message as it was sent."""

    place: Place
    room_type: str
    sent_at: datetime
    sender: UUID
    audience: frozenset[UUID]
    text: str


@dataclass(frozen=True)
class Length:
    """A period: months, then days."""

    months: int = 0
    days: int = 0

    def after(self, start: datetime) -> datetime:
        """Return when it ends: month by month, and where the last month lacks the day, with that month."""
        year, month = start.year, start.month
        for _ in range(self.months):
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        try:
            moved = start.replace(year=year, month=month)
        except ValueError:
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)
            moved = start.replace(year=year, month=month, day=1, hour=0, minute=0, second=0, microsecond=0)
        return moved + timedelta(days=self.days)


@dataclass(frozen=True)
class Rule:
    """A rule in force: a floor, or a deletion with its grace."""

    deletes: bool
    length: Length
    grace: timedelta = timedelta()
    types: frozenset[str] | None = None
    rooms: frozenset[UUID] | None = None

    def binds(self, said: Said) -> bool:
        """Say whether it speaks of this message."""
        of_type = self.types is None or said.room_type in self.types
        return of_type and (self.rooms is None or said.place.room in self.rooms)


@dataclass(frozen=True)
class Erasure:
    """Somebody's request to erase what he had sent."""

    subject: UUID
    at: datetime


@dataclass(frozen=True)
class Hold:
    """What is to be preserved."""

    custodians: frozenset[UUID] = frozenset()
    rooms: frozenset[UUID] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    def covers(self, said: Said) -> bool:
        """Say whether it preserves this message."""
        if self.since is not None and said.sent_at < self.since:
            return False
        if self.until is not None and said.sent_at >= self.until:
            return False
        if not self.custodians and not self.rooms:
            return True
        named = said.place.room in self.rooms or said.sender in self.custodians
        return named or any(person in self.custodians for person in said.audience)


@dataclass(frozen=True)
class Claims:
    """By what an order is decided, as it stood when the order was given."""

    as_of: datetime
    rules: tuple[Rule, ...]
    locks: tuple[Rule, ...]
    erasures: tuple[Erasure, ...]


def standing(said: Said, claims: Claims, holds: Iterable[Hold]) -> str:
    """Return how a message stands: retained, preserved, hidden or ripe."""
    floors = [rule for rule in (*claims.rules, *claims.locks) if not rule.deletes and rule.binds(said)]
    kept_until = max((floor.length.after(said.sent_at) for floor in floors), default=said.sent_at)
    deletions = [rule for rule in claims.rules if rule.deletes and rule.binds(said)]
    if any(rule.rooms is not None for rule in deletions):
        deletions = [rule for rule in deletions if rule.rooms is not None]
    asked = [(rule.length.after(said.sent_at), rule.grace) for rule in deletions]
    asked += [
        (erasure.at, timedelta())
        for erasure in claims.erasures
        if erasure.subject == said.sender and said.sent_at <= erasure.at <= claims.as_of
    ]
    if not asked:
        return "retained"
    if claims.as_of < min(max(at, kept_until) for at, _ in asked):
        return "retained"
    if any(hold.covers(said) for hold in holds):
        return "preserved"
    destroyed_from = min(max(at, kept_until) + grace for at, grace in asked)
    return "ripe" if destroyed_from <= claims.as_of else "hidden"


@dataclass
class Ledger:
    """What people did, kept beside the platform."""

    said: dict[Place, Said] = field(default_factory=dict)
    """Every version of every message: each is an item of its own."""
    current: dict[Place, Place] = field(default_factory=dict)
    """The version that is in force of each message, by its first."""
    retracted: set[Place] = field(default_factory=set)
    rules: dict[UUID, Rule] = field(default_factory=dict)
    locks: dict[UUID, Rule] = field(default_factory=dict)
    erasures: list[Erasure] = field(default_factory=list)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    changes: list[tuple[UUID, bool]] = field(default_factory=list)
    """Holds placed (True) and released, in order: the n-th change makes generation n."""
    orders: dict[UUID, Claims] = field(default_factory=dict)

    def shown(self, room: UUID, hidden: Callable[[Place], bool]) -> dict[int, str | None]:
        """Return what readers are shown of the messages of a room: of each the version in force."""
        texts: dict[int, str | None] = {}
        for first, version in self.current.items():
            if first.room == room:
                is_shown = first not in self.retracted and not hidden(version)
                texts[first.seq] = self.said[version].text if is_shown else None
        return texts

    def claims(self, as_of: datetime) -> Claims:
        """Return what an order given now would be decided by."""
        return Claims(as_of, tuple(self.rules.values()), tuple(self.locks.values()), tuple(self.erasures))

    def holds_at(self, generation: int) -> list[Hold]:
        """Return the holds that stand at a generation."""
        standing: dict[UUID, Hold] = {}
        for hold, placed in self.changes[:generation]:
            if placed:
                standing[hold] = self.holds[hold]
            else:
                del standing[hold]
        return list(standing.values())

    def counts(self, places: Iterable[Place], order: UUID, generation: int) -> dict[tuple[str, str], int]:
        """Return how many of these messages stand how, by the type of their conversation."""
        holds, found = self.holds_at(generation), dict[tuple[str, str], int]()
        for place in places:
            one = self.said[place]
            key = one.room_type, standing(one, self.orders[order], holds)
            found[key] = found.get(key, 0) + 1
        return found

    def standing(self, place: Place, order: UUID, generation: int) -> str:
        """Return how a message stands for an order, behind the holds of a generation."""
        return standing(self.said[place], self.orders[order], self.holds_at(generation))

    def covered(self, place: Place, holds: Sequence[UUID]) -> list[UUID]:
        """Return which of these holds preserve a message."""
        return [hold for hold in holds if self.holds[hold].covers(self.said[place])]
