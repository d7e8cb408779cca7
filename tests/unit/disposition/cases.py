"""Items and claims of every kind, dense enough that they often meet."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from libs.disposition import decision
from libs.disposition.claims import Erasure, Hold, Item, Lock, Rule, RuleKind
from libs.disposition.decision import Disposition
from libs.disposition.period import Period

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TYPES = ("direct", "group")
ALICE, BOB, CAROL = PEOPLE = tuple(UUID(int=number) for number in range(1, 4))
CONVERSATIONS = tuple(UUID(int=number) for number in range(11, 15))


def checked(
    *given_: st.SearchStrategy[Any], examples: int = 200
) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Return Hypothesis's `given` for proofs that planted defects fail, too.

    Cases are small as they are drawn: shrinking each planted failure would take minutes and tell nothing.
    """
    thorough = settings(
        max_examples=examples,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate],
        deadline=None,
    )
    return lambda proof: thorough(given(*given_)(proof))


@dataclass(frozen=True)
class Claims:
    """All that has a claim, and the moment."""

    rules: tuple[Rule, ...] = ()
    holds: tuple[Hold, ...] = ()
    locks: tuple[Lock, ...] = ()
    erasures: tuple[Erasure, ...] = ()
    now: datetime = NOON

    def decide(self, item: Item) -> Disposition:
        """Return the decision; it is looked up when it is asked, so that a test may plant another."""
        return decision.disposition_of(item, self.rules, self.holds, self.locks, self.erasures, self.now)


def _ids() -> st.SearchStrategy[UUID]:
    return st.builds(lambda number: UUID(int=number), st.integers(100, 10_000))


def _some(values: tuple[UUID, ...]) -> st.SearchStrategy[frozenset[UUID]]:
    return st.frozensets(st.sampled_from(values), max_size=2)


_TYPES = st.none() | st.frozensets(st.sampled_from(TYPES), min_size=1)
# Days around which months differ in length, and around which whole periods end, are frequent.
_DAYS = st.sampled_from([0, 1, 2, 27, 28, 29, 30, 31, 59, 60, 61, 89, 90, 364, 365, 366, 730, 731, 1096])
_SECONDS = st.sampled_from([0, 1, 43_199, 43_200, 43_201, 86_399]) | st.integers(0, 86_399)
_TURNS = [NOON, *(datetime(*day, tzinfo=UTC) for day in ((2024, 2, 29), (2025, 3, 1), (2026, 3, 31)))]
MOMENTS = st.sampled_from(_TURNS) | st.datetimes(
    datetime(2023, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
    datetime(2028, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
PERIODS = st.builds(Period, st.integers(0, 2), st.integers(0, 3), st.sampled_from([0, 1, 28, 30, 31]))
GRACES = st.sampled_from([timedelta(0), timedelta(hours=1), DAY, 30 * DAY, 400 * DAY])


_AGO = st.builds(lambda days, seconds: days * DAY + timedelta(seconds=seconds), _DAYS, _SECONDS)
_AROUND_NOON = _AGO.map(lambda ago: NOON - ago) | _AGO.map(lambda ago: NOON + 60 * DAY - ago) | st.just(NOON)
_EDGES = st.none() | _AROUND_NOON


def rules_of(kind: RuleKind) -> st.SearchStrategy[Rule]:
    """Give rules of one kind; a third of them explicit."""
    here = st.sampled_from([*CONVERSATIONS, CONVERSATIONS[0]])
    named = st.none() | st.none() | st.frozensets(here, min_size=1, max_size=2)
    return st.builds(Rule, _ids(), st.integers(1, 2), st.just(kind), PERIODS, _TYPES, named, GRACES)


FLOORS, DELETIONS = rules_of(RuleKind.FLOOR), rules_of(RuleKind.DELETION)
LOCKS = st.builds(Lock, _ids(), PERIODS, _TYPES)
HOLDS = st.builds(Hold, _ids(), _some(PEOPLE), _some(CONVERSATIONS), _EDGES, _EDGES)
ERASURES = st.builds(Erasure, _ids(), st.sampled_from([ALICE, ALICE, BOB]), _AROUND_NOON)
ITEMS = st.builds(
    Item,
    st.sampled_from([*CONVERSATIONS, CONVERSATIONS[0]]),
    st.sampled_from(TYPES),
    _AROUND_NOON,
    st.sampled_from([ALICE, ALICE, BOB, None]),
    _some(PEOPLE),
    _EDGES,
)


def moved(instant: datetime | None, now: datetime) -> datetime | None:
    """Return an instant around noon, as far from `now`."""
    return None if instant is None else instant + (now - NOON)


def covering_holds(item: Item) -> st.SearchStrategy[Hold]:
    """Give holds that cover the item, each in its own way."""
    people = [*item.audience, *([item.sender] if item.sender else [])]
    by_custodian = [Hold(UUID(int=1), custodians=frozenset({each, UUID(int=9)})) for each in people]
    by_conversation = Hold(UUID(int=2), conversations=frozenset({item.conversation}))
    by_time = Hold(UUID(int=3), since=item.sent_at, until=item.sent_at + timedelta.resolution)
    return st.sampled_from([*by_custodian, by_conversation, by_time])


_CASES = st.tuples(
    ITEMS,
    MOMENTS,
    st.lists(FLOORS | DELETIONS | DELETIONS, max_size=4),
    st.just([]) | st.lists(HOLDS, max_size=2),
    st.just([]) | st.lists(LOCKS, max_size=1),
    st.lists(ERASURES, max_size=2),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Item, Claims]:
    """Give an item and claims of every kind, few of each, around one moment."""
    item, now, rules, holds, locks, erasures = draw(_CASES)
    item = replace(item, sent_at=item.sent_at + (now - NOON), retracted_at=moved(item.retracted_at, now))
    holds = [replace(each, since=moved(each.since, now), until=moved(each.until, now)) for each in holds]
    erasures = [replace(each, requested_at=each.requested_at + (now - NOON)) for each in erasures]
    return item, Claims(tuple(rules), tuple(holds), tuple(locks), tuple(erasures), now)
