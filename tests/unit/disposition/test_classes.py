"""What a statement finds by a few bounds is what each item's own decision says."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st

from libs.disposition import classes
from libs.disposition.claims import Erasure, Hold, Item, Rule, RuleKind
from libs.disposition.classes import Bound, DispositionClass, Shield, classes_of, named_by
from libs.disposition.decision import Preserve, standing_of
from libs.disposition.period import FOREVER, INSTANT, Period
from tests.unit.disposition.cases import (
    ALICE,
    CONVERSATIONS,
    DAY,
    DELETIONS,
    ITEMS,
    NOON,
    TYPES,
    Claims,
    cases,
    checked,
)

# The executor knows the types of its conversations.
TYPE_OF = dict(zip(CONVERSATIONS, [*TYPES, *TYPES], strict=True))
RULE, HOLD = UUID(int=31), UUID(int=32)


def classes_under(claims: Claims) -> tuple[DispositionClass, ...]:
    """Return the classes of an executor that knows its conversations' types."""
    return classes.classes_of(
        TYPES, TYPE_OF, claims.rules, claims.holds, claims.locks, claims.erasures, claims.now
    )


def class_of(item: Item, claims: Claims) -> DispositionClass:
    """Return the one class to which the item belongs."""
    (found,) = [each for each in classes_under(claims) if each.contains(item)]
    return found


def edges_of(claims: Claims) -> list[datetime]:
    """Return the first `sent_at` that each claim by itself does not reach any more, or not yet."""
    reached = [
        period.open_from(then)
        for rule in claims.rules
        for period in (rule.period, *(lock.period for lock in claims.locks))
        for then in (claims.now, claims.now - rule.grace)
    ]
    return reached + [erasure.requested_at + INSTANT for erasure in claims.erasures]


@checked(cases(), st.data(), examples=600)
def test_an_item_stands_in_its_class_as_its_own_decision_says(case: tuple[Item, Claims], data: st.DataObject):
    item, claims = case
    if naming := data.draw(st.none() | DELETIONS):
        rule = replace(naming, conversations=frozenset({item.conversation}))
        claims = replace(claims, rules=(*claims.rules, rule))
    # Where a class would be wrong by an instant, or would hear a rule too many.
    near = [*edges_of(claims), item.sent_at, claims.now]
    sent_at = data.draw(st.sampled_from(near)) + data.draw(st.sampled_from([-INSTANT, 0 * INSTANT]))
    item = replace(item, sent_at=sent_at)
    item = replace(item, conversation_type=TYPE_OF[item.conversation])
    answer, found = claims.decide(item), class_of(item, claims)
    assert found.standing_of(item) is standing_of(answer, claims.now)
    if isinstance(answer, Preserve):
        assert {shield.hold for shield in found.shields if shield.meets(item)} == set(answer.holds)
        is_hidden = answer.due_at is not None and answer.due_at <= claims.now
        assert any(bound.meets(item) for bound in found.due) == is_hidden


@checked(cases())
def test_classes_share_no_item_and_leave_none_out(case: tuple[Item, Claims]):
    item, claims = case
    found = classes_under(claims)
    for conversation, conversation_type in TYPE_OF.items():
        each = replace(item, conversation=conversation, conversation_type=conversation_type)
        assert sum(one.contains(each) for one in found) == 1
    assert len(set(found)) == len(found)


@checked(cases())
def test_what_is_ripe_is_due(case: tuple[Item, Claims]):
    item, claims = case
    item = replace(item, conversation_type=TYPE_OF[item.conversation])
    found = class_of(item, claims)
    if any(bound.meets(item) for bound in found.ripe):
        assert any(bound.meets(item) for bound in found.due)


DEFECTS: dict[str, tuple[str, Callable[[Any], Callable[..., Any]]]] = {
    "a bound is an instant late": (
        "_kept_from",
        lambda true: lambda floors, now: true([*floors, Period()], now - INSTANT),
    ),
    "no floor is heard": ("_kept_from", lambda _: lambda *_: FOREVER),
    "implicit rules are heard beside explicit ones": ("_strongest", lambda _: lambda deletions: deletions),
    "an erasure is heard before it is requested": (
        "_Claims",
        lambda true: (
            lambda rules, holds, locks, erasures, now: true(
                rules, holds, locks, [replace(each, requested_at=now) for each in erasures], now
            )
        ),
    ),
    "bounds are lost": ("_fewest", lambda true: lambda bounds: true(bounds)[1:]),
    "all bounds are due to anybody": (
        "_fewest",
        lambda true: lambda bounds: tuple(replace(bound, sender=None) for bound in true(bounds)),
    ),
    "a hold is not heard": (
        "classes_of",
        lambda true: lambda types, named, rules, holds, *of: true(types, named, rules, (), *of),
    ),
}


@pytest.mark.planted
@pytest.mark.parametrize("defect", DEFECTS)
def test_classes_with_a_planted_defect_are_caught(defect: str, monkeypatch: pytest.MonkeyPatch):
    name, alter = DEFECTS[defect]
    monkeypatch.setattr(classes, name, alter(getattr(classes, name)))
    with pytest.raises(AssertionError):
        test_an_item_stands_in_its_class_as_its_own_decision_says()


@checked(ITEMS)
def test_a_named_conversation_whose_type_is_not_told_is_in_no_class(item: Item):
    naming = Rule(RULE, 1, RuleKind.DELETION, Period(), conversations=frozenset({item.conversation}))
    found = classes_of(TYPES, {}, (naming,), (), (), (), NOON)
    assert not any(each.contains(item) for each in found)


def test_a_tenant_with_two_rules_a_hold_and_an_erasure_has_few_classes():
    here, there, third, _ = CONVERSATIONS
    rules = (
        Rule(RULE, 1, RuleKind.DELETION, Period(years=1), grace=30 * DAY),
        Rule(UUID(int=33), 1, RuleKind.DELETION, Period(days=90), conversations=frozenset({here, third})),
    )
    hold = Hold(HOLD, custodians=frozenset({ALICE}), conversations=frozenset({there}), since=NOON - DAY)
    elsewhere = Hold(UUID(int=35), conversations=frozenset({UUID(int=36)}))
    erasure = Erasure(UUID(int=34), ALICE, NOON)
    assert named_by(rules, (hold,)) == {here, there, third}
    named = {here: "group", there: "group", third: "group"}
    holds = (hold, elsewhere)
    ordinary, of_two, of_one = classes_of(["group"], named, rules, holds, (), (erasure,), NOON)
    hers = Bound(NOON + INSTANT, ALICE)
    year, year_and_grace = NOON.replace(year=2025) + INSTANT, NOON.replace(year=2025) - 30 * DAY + INSTANT
    assert ordinary.due == (Bound(year), hers)
    assert ordinary.ripe == (Bound(year_and_grace), hers)
    assert ordinary.shields == (Shield(HOLD, NOON - DAY, None, frozenset({ALICE})),)
    assert ordinary.conversations is None
    assert ordinary.others == {here, there, third, UUID(int=36)}
    by_size = {len(each.conversations or ()): each for each in (of_two, of_one)}
    assert by_size[2].due == by_size[2].ripe == (Bound(NOON - 90 * DAY + INSTANT), hers)
    assert by_size[1].shields == (Shield(HOLD, NOON - DAY, None, None),)
