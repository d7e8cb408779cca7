"""What is decided of the earliest and the latest of a box is what is decided of every item within."""

from bisect import bisect
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st

from libs.disposition import voices
from libs.disposition.claims import Erasure, Hold, Item, Rule, RuleKind
from libs.disposition.decision import disposition_of
from libs.disposition.period import INSTANT, Period
from services.messaging.domain import dispositions
from services.messaging.domain.dispositions import Box, Planned, Standing
from services.messaging.domain.dispositions import Claims as Claimed
from tests.unit.disposition.cases import DAY, PEOPLE, Claims, cases, checked, covering_holds

_DAVE = UUID(int=77)
ENDS_ALL = Rule(UUID(int=78), 1, RuleKind.DELETION, Period())
_MOSTLY = st.sampled_from([True, True, True, False])
_STEPS = [timedelta(0), -INSTANT, INSTANT, DAY, 30 * DAY, 31 * DAY, -31 * DAY, -365 * DAY]


def _moments(item: Item, claims: Claims) -> st.SearchStrategy[datetime]:
    """Give moments where the claims themselves begin and end, and around them."""
    edges = [edge for hold in claims.holds for edge in (hold.since, hold.until) if edge is not None]
    edges += [erasure.requested_at for erasure in claims.erasures]
    return st.builds(lambda at, by: at + by, st.sampled_from([item.sent_at, *edges]), st.sampled_from(_STEPS))


def _holds_on(item: Item) -> st.SearchStrategy[Hold]:
    """Give holds that cover the item and begin or end with it."""
    until = st.sampled_from([None, item.sent_at + INSTANT, item.sent_at + DAY])
    return st.builds(
        lambda hold, ends: replace(hold, since=item.sent_at, until=ends), covering_holds(item), until
    )


def alike(item: Item, other: Item, where: voices.Voices) -> bool:
    """Return whether the same voices speak for two items of a conversation, as a plan has it."""
    return (
        bisect(where.instants, item.sent_at) == bisect(where.instants, other.sent_at)
        and {item.sender} & where.people == {other.sender} & where.people
        and item.audience & where.custodians == other.audience & where.custodians
    )


@checked(cases(), st.data(), examples=1500)
def test_what_lies_between_two_stands_as_both_do(case: tuple[Item, Claims], data: st.DataObject):
    item, claims = case
    if data.draw(_MOSTLY):  # so that holds and requests have something to decide about
        claims = replace(claims, rules=(*claims.rules, ENDS_ALL), now=item.sent_at + 800 * DAY)
    if data.draw(_MOSTLY):
        claims = replace(claims, holds=(*claims.holds, data.draw(_holds_on(item))))
    if item.sender and data.draw(st.booleans()):
        asked = Erasure(UUID(int=79), item.sender, item.sent_at)
        claims = replace(claims, erasures=(*claims.erasures, asked))
    where = voices.voices_of(claims.holds, claims.erasures)
    times = sorted(data.draw(st.lists(_moments(item, claims), min_size=3, max_size=3)))
    earliest, middle, latest = (replace(item, sent_at=time) for time in times)
    middle = replace(
        middle,
        sender=data.draw(st.sampled_from([item.sender, *PEOPLE, _DAVE, None])),
        audience=data.draw(st.sampled_from([item.audience, frozenset({_DAVE}), frozenset(PEOPLE)])),
    )
    if not (alike(earliest, latest, where) and alike(earliest, middle, where)):
        return
    given = Claimed(claims.rules, claims.holds, claims.locks, claims.erasures, claims.now)
    box = Box(item.conversation, 1, 3, times[0], times[2], None, whole=True)
    done = dispositions.decide_batch([Planned(1, box, 3, earliest, latest)], given)
    own = dispositions.standing_of(disposition_of(middle, *given), claims.now)
    both = {dispositions.standing_of(disposition_of(each, *given), claims.now) for each in (earliest, latest)}
    if len(both) == 1:
        assert {own} == both
    assert not done.destroyed or own is Standing.RIPE
    assert not done.hidden or own is not Standing.RETAINED
    assert len(done.hidden) + len(done.destroyed) + (done.spared == 3) == 1


def _deaf(**lost: Any) -> Callable[[Any], Any]:
    return lambda true: lambda *claims: true(*claims)._replace(**lost)


DEFECTS: dict[str, tuple[Any, str, Callable[[Any], Any]]] = {
    "holds begin and end nowhere": (voices, "voices_of", _deaf(instants=())),
    "who sent it does not matter": (voices, "voices_of", _deaf(people=frozenset())),
    "who could read it does not matter": (voices, "voices_of", _deaf(custodians=frozenset())),
    "the earliest alone is decided": (
        dispositions,
        "decide_batch",
        lambda true: (
            lambda planned, claims: true([each._replace(latest=each.earliest) for each in planned], claims)
        ),
    ),
}


@pytest.mark.planted
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_caught(defect: str, monkeypatch: pytest.MonkeyPatch):
    module, name, alter = DEFECTS[defect]
    monkeypatch.setattr(module, name, alter(getattr(module, name)))
    with pytest.raises(AssertionError):
        test_what_lies_between_two_stands_as_both_do()
