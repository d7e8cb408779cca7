"""The decision turned around for statements: which items of a class are due, by a few bounds.

An executor does not read its items to decide about each. It asks its database for those of a class that
were sent before a bound, counts them by day or destroys them, and decides alone what it samples.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from libs.disposition.claims import Erasure, Hold, Item, Lock, Rule, RuleKind, in_range
from libs.disposition.decision import RETRACTION_GRACE, Standing
from libs.disposition.period import BEGINNING, FOREVER, INSTANT, Period, later


@dataclass(frozen=True, slots=True)
class Bound:
    """Items with `sent_at < sent_before`.

    Unless None: only those of this `sender`; only those with `retracted_at <= retracted_by`.
    """

    sent_before: datetime
    sender: UUID | None = None
    retracted_by: datetime | None = None

    def meets(self, item: Item) -> bool:
        """Return whether the item is within the bound, as a statement would find it."""
        return (
            item.sent_at < self.sent_before
            and self.sender in (None, item.sender)
            and (
                self.retracted_by is None
                or (item.retracted_at is not None and item.retracted_at <= self.retracted_by)
            )
        )


@dataclass(frozen=True, slots=True)
class Shield:
    """What a hold preserves of a class: items sent from `since` on and before `until` (None is open).

    Of everybody if `custodians` is None, otherwise what one of them sent or was in the audience of.
    """

    hold: UUID
    since: datetime | None
    until: datetime | None
    custodians: frozenset[UUID] | None

    def meets(self, item: Item) -> bool:
        """Return whether the item is behind the shield, as a statement would find it."""
        return in_range(item.sent_at, self.since, self.until) and (
            self.custodians is None
            or item.sender in self.custodians
            or not self.custodians.isdisjoint(item.audience)
        )


@dataclass(frozen=True, slots=True)
class DispositionClass:
    """Items of one conversation type about which the same bounds decide.

    They are those of `conversations`, or of all conversations of the type but `others` if that is None.
    What meets one of `due` is hidden; what meets one of `ripe` may be destroyed, unless a shield is met.
    """

    conversation_type: str
    conversations: frozenset[UUID] | None
    others: frozenset[UUID]
    due: tuple[Bound, ...]
    ripe: tuple[Bound, ...]
    shields: tuple[Shield, ...]

    def contains(self, item: Item) -> bool:
        """Return whether the item belongs to this class."""
        return item.conversation_type == self.conversation_type and (
            item.conversation not in self.others
            if self.conversations is None
            else item.conversation in self.conversations
        )

    def standing_of(self, item: Item) -> Standing:
        """Return how an item of this class stands: what its own decision says, too."""
        if any(shield.meets(item) for shield in self.shields):
            return Standing.PRESERVED
        if any(bound.meets(item) for bound in self.ripe):
            return Standing.RIPE
        return Standing.HIDDEN if any(bound.meets(item) for bound in self.due) else Standing.RETAINED


def named_by(rules: Iterable[Rule], holds: Iterable[Hold]) -> frozenset[UUID]:
    """Return the conversations that rules or holds name, whose types `classes_of` wants to know."""
    return frozenset[UUID]().union(
        *(rule.conversations or () for rule in rules), *(hold.conversations for hold in holds)
    )


def classes_of(
    conversation_types: Iterable[str],
    named: Mapping[UUID, str],
    rules: Iterable[Rule],
    holds: Iterable[Hold],
    locks: Iterable[Lock],
    erasures: Iterable[Erasure],
    now: datetime,
) -> tuple[DispositionClass, ...]:
    """Return classes, no two of which share an item, that together decide as each item's own decision does.

    `named` gives the type of each conversation of `named_by`. One that is missing there is in no class, as
    is one of a type that is not among `conversation_types`: nothing of it is disposed of.
    """
    claims = _Claims(tuple(set(rules)), tuple(set(holds)), tuple(set(locks)), tuple(set(erasures)), now)
    missing = named_by(claims.rules, claims.holds)
    found: list[DispositionClass] = []
    for conversation_type in sorted(set(conversation_types)):
        rest = claims.class_of(conversation_type, None)
        alike: dict[DispositionClass, set[UUID]] = defaultdict(set)
        for conversation in (each for each in missing if named.get(each) == conversation_type):
            alike[claims.class_of(conversation_type, conversation)].add(conversation)
        ordinary = alike.pop(rest, set())
        found.append(replace(rest, others=missing - ordinary))
        found += (replace(each, conversations=frozenset(names)) for each, names in alike.items())
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Claims:
    """All that has a claim, at one moment."""

    rules: tuple[Rule, ...]
    holds: tuple[Hold, ...]
    locks: tuple[Lock, ...]
    erasures: tuple[Erasure, ...]
    now: datetime

    def class_of(self, conversation_type: str, conversation: UUID | None) -> DispositionClass:
        """Return what decides in a conversation (None: in one that nothing names), not yet saying where."""
        rules = [rule for rule in self.rules if rule.binds(conversation_type, conversation)]
        floors = [rule.period for rule in rules if rule.kind is RuleKind.FLOOR]
        floors += [lock.period for lock in self.locks if lock.binds(conversation_type)]
        strongest = _strongest([rule for rule in rules if rule.kind is RuleKind.DELETION])
        return DispositionClass(
            conversation_type,
            conversations=None,
            others=frozenset(),
            due=_fewest([*self._erased(floors), *self._due(strongest, floors)]),
            ripe=_fewest([*self._erased(floors), *self._ripe(strongest, floors)]),
            shields=tuple(sorted(self._shields(conversation), key=lambda shield: shield.hold)),
        )

    def _erased(self, floors: Sequence[Period]) -> Iterator[Bound]:
        kept = _kept_from(floors, self.now)
        for erasure in self.erasures:
            if erasure.requested_at <= self.now:
                yield Bound(min(kept, later(erasure.requested_at, INSTANT)), erasure.subject)

    def _due(self, deletions: Sequence[Rule], floors: Sequence[Period]) -> Iterator[Bound]:
        kept = _kept_from(floors, self.now)
        for rule in deletions:
            yield Bound(min(kept, rule.period.open_from(self.now)))
        if not deletions:
            yield Bound(kept, retracted_by=self.now)

    def _ripe(self, deletions: Sequence[Rule], floors: Sequence[Period]) -> Iterator[Bound]:
        for rule in deletions:
            then = later(self.now, -rule.grace)
            yield Bound(min(_kept_from(floors, then), rule.period.open_from(then)))
        if not deletions:
            then = later(self.now, -RETRACTION_GRACE)
            yield Bound(_kept_from(floors, then), retracted_by=then)

    def _shields(self, conversation: UUID | None) -> Iterator[Shield]:
        for hold in self.holds:
            if hold.names_all or conversation in hold.conversations:
                yield Shield(hold.hold, hold.since, hold.until, None)
            elif hold.custodians:
                yield Shield(hold.hold, hold.since, hold.until, hold.custodians)


def _strongest(deletions: Sequence[Rule]) -> Sequence[Rule]:
    """Return the deletions that are heard: those that name the conversation, if there are any."""
    return [rule for rule in deletions if rule.is_explicit] or deletions


def _kept_from(floors: Iterable[Period], now: datetime) -> datetime:
    """Return the first `sent_at` that a floor still keeps at `now`."""
    return min((period.open_from(now) for period in floors), default=FOREVER)


def _fewest(bounds: Iterable[Bound]) -> tuple[Bound, ...]:
    """Return as few bounds as find the same items, in an order of their own."""
    furthest: dict[tuple[UUID | None, datetime | None], Bound] = {}
    for bound in bounds:
        about = bound.sender, bound.retracted_by
        furthest[about] = max(bound, furthest.get(about, bound), key=lambda each: each.sent_before)
    anybody = furthest.get((None, None), Bound(BEGINNING))
    more = [bound for bound in furthest.values() if bound.sent_before > anybody.sent_before]
    told = [anybody] if anybody.sent_before > BEGINNING else []
    return (*told, *sorted(more, key=lambda bound: (bound.sent_before, str(bound.sender))))
