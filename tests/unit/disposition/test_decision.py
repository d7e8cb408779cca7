"""One precedence, everywhere; each of its rules is seen broken by a decision with a planted defect."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume
from hypothesis import strategies as st

from libs.disposition import decision
from libs.disposition.claims import Erasure, Hold, Item, Lock, Rule, RuleKind, concerns, covers
from libs.disposition.decision import RETRACTION_GRACE, Dispose, Preserve, Retain, Standing, standing_of
from libs.disposition.errors import PeriodRefused
from libs.disposition.period import BEGINNING, Period
from libs.disposition.trace import PRECEDENCE, Step, Voice
from tests.unit.disposition.cases import (
    ALICE,
    BOB,
    CAROL,
    CONVERSATIONS,
    DAY,
    DELETIONS,
    ERASURES,
    FLOORS,
    LOCKS,
    NOON,
    Claims,
    cases,
    checked,
    covering_holds,
)

Case = tuple[Item, Claims]
Plant = Callable[[pytest.MonkeyPatch], None]

HERE = CONVERSATIONS[0]
FLOOR, RULE, NAMING = UUID(int=21), UUID(int=22), UUID(int=23)


def item_of(age: timedelta) -> Item:
    """Return an item that Alice sent to Bob that long before noon."""
    return Item(HERE, "group", NOON - age, ALICE, frozenset({ALICE, BOB}))


def binding(item: Item, claims: Claims, kind: RuleKind) -> list[Rule]:
    """Return the rules of one kind that bind the item."""
    bound = (rule for rule in claims.rules if rule.binds(item.conversation_type, item.conversation))
    return [rule for rule in bound if rule.kind is kind]


def kept_until(item: Item, claims: Claims) -> list[datetime]:
    """Return when each floor and each lock under the item ends."""
    floors = [rule.period for rule in binding(item, claims, RuleKind.FLOOR)]
    floors += [lock.period for lock in claims.locks if lock.binds(item.conversation_type)]
    return [period.end(item.sent_at) for period in floors]


def dates(item: Item, claims: Claims) -> tuple[datetime | None, datetime | None]:
    """Return when the item is hidden and when it is destroyed, as far as the decision says."""
    answer = claims.decide(item)
    match answer:
        case Dispose():
            return answer.due_at, answer.destroy_at
        case Retain():
            return answer.until, None
        case Preserve():
            return answer.due_at, None


ORDER = [Standing.RETAINED, Standing.HIDDEN, Standing.RIPE]


def progress(item: Item, claims: Claims) -> int:
    """Return how far disposition has come: not at all, hidden, to be destroyed."""
    standing = standing_of(claims.decide(item), claims.now)
    return 0 if standing is Standing.PRESERVED else ORDER.index(standing)


# ---- whatever it is given, it answers


@checked(cases())
def test_every_item_has_its_disposition_and_a_reason_that_can_be_read(case: Case):
    item, claims = case
    answer = claims.decide(item)
    assert isinstance(answer, Retain | Preserve | Dispose)
    for step in answer.trace:
        assert step.sentence().endswith("this decides." if step.won else ".")
        assert step.as_object()["voice"] == step.voice


@checked(cases())
def test_nothing_is_due_before_its_time_and_nothing_destroyed_before_it_is_hidden(case: Case):
    item, claims = case
    match claims.decide(item):
        case Dispose(due_at=due_at, destroy_at=destroy_at):
            assert due_at <= claims.now
            assert due_at <= destroy_at
        case Retain(until=until):
            assert until is None or until > claims.now


@checked(cases(), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_the_claims_matters(case: Case, random):
    item, claims = case

    def stirred(values: Sequence[object]) -> tuple[object, ...]:
        twice = [*values, *values]
        random.shuffle(twice)
        return tuple(twice)

    other = Claims(
        stirred(claims.rules),  # type: ignore[arg-type]
        stirred(claims.holds),  # type: ignore[arg-type]
        stirred(claims.locks),  # type: ignore[arg-type]
        stirred(claims.erasures),  # type: ignore[arg-type]
        claims.now,
    )
    assert other.decide(item) == claims.decide(item)


@checked(cases())
def test_who_does_not_speak_about_an_item_changes_nothing(case: Case):
    item, claims = case
    bound = Claims(
        (*binding(item, claims, RuleKind.FLOOR), *binding(item, claims, RuleKind.DELETION)),
        tuple(hold for hold in claims.holds if covers(hold, item)),
        tuple(lock for lock in claims.locks if lock.binds(item.conversation_type)),
        tuple(each for each in claims.erasures if concerns(each, item) and each.requested_at <= claims.now),
        claims.now,
    )
    assert bound.decide(item) == claims.decide(item)


@checked(cases(), st.timedeltas(timedelta(0), timedelta(days=900)))
def test_what_has_become_due_stays_due(case: Case, wait: timedelta):
    item, claims = case
    assert progress(item, claims) <= progress(item, replace(claims, now=claims.now + wait))


# ---- the trace


@checked(cases())
def test_the_trace_is_in_the_order_of_precedence_and_names_who_won(case: Case):
    item, claims = case
    answer = claims.decide(item)
    ranks = [PRECEDENCE[step.voice] for step in answer.trace]
    assert ranks == sorted(ranks)
    won = [step for step in answer.trace if step.won]
    match answer:
        case Preserve(holds=holds):
            assert {step.source for step in won} == set(holds) != set()
            assert {step.voice for step in won} == {Voice.HOLD}
        case Dispose(due_at=due_at, destroy_at=destroy_at):
            floor = max(kept_until(item, claims), default=due_at)
            assert {PRECEDENCE[step.voice] for step in won} <= {2, 3, 4, 5}
            assert any(max(step.at, floor) == due_at for step in won)
            assert any(max(step.at, floor) + step.grace == destroy_at for step in won)
        case Retain(until=until):
            kept = max(kept_until(item, claims), default=claims.now)
            if kept > claims.now:
                assert [(PRECEDENCE[step.voice], step.at) for step in won] == [(1, kept)]
            else:
                assert bool(won) == (until is not None)
                assert until is None or any(step.at == until for step in won)


# ---- a hold in force goes before everything


@checked(cases(), st.data())
def test_a_covered_item_is_never_disposed_of(case: Case, data: st.DataObject):
    item, claims = case
    more = data.draw(st.lists(covering_holds(item), min_size=1, max_size=2))
    claims = replace(claims, holds=(*claims.holds, *more))
    answer = claims.decide(item)
    assert isinstance(answer, Preserve)
    assert set(answer.holds) == {hold.hold for hold in claims.holds if covers(hold, item)}


@checked(cases(), st.data())
def test_one_hold_or_floor_or_lock_more_never_lets_an_item_go(case: Case, data: st.DataObject):
    item, claims = case
    more = data.draw(
        covering_holds(item).map(lambda hold: replace(claims, holds=(*claims.holds, hold)))
        | FLOORS.map(lambda rule: replace(claims, rules=(*claims.rules, rule)))
        | LOCKS.map(lambda lock: replace(claims, locks=(*claims.locks, lock)))
    )
    assert progress(item, more) <= progress(item, claims)
    before, after = dates(item, claims)[0], dates(item, more)[0]
    assert before is None or (after is not None and after >= before)


@checked(cases())
def test_a_release_leaves_what_would_have_been_without_the_hold(case: Case):
    item, claims = case
    assert dates(item, claims)[0] == dates(item, replace(claims, holds=()))[0]


# ---- then the longest floor


@checked(cases())
def test_nothing_is_due_before_the_longest_floor_under_it_ends(case: Case):
    item, claims = case
    due_at, _ = dates(item, claims)
    assert due_at is None or all(due_at >= end for end in kept_until(item, claims))


# ---- then the right to erasure


@checked(cases(), st.data())
def test_an_erasure_is_due_as_soon_as_no_floor_forbids_it_and_has_no_grace(case: Case, data: st.DataObject):
    item, claims = case
    assume(item.sender is not None)
    asked = Erasure(UUID(int=1), item.sender or ALICE, data.draw(st.sampled_from([item.sent_at, claims.now])))
    assume(concerns(asked, item) and asked.requested_at <= claims.now)
    otherwise = replace(claims, holds=(), erasures=())
    hidden, destroyed = dates(item, otherwise)
    wanted = max([asked.requested_at, *kept_until(item, claims)])
    match replace(otherwise, erasures=(asked,)).decide(item):
        case Dispose(due_at=due_at, destroy_at=destroy_at, trace=trace):
            assert (due_at, destroy_at) == (min(wanted, hidden or wanted), min(wanted, destroyed or wanted))
            if hidden is None or wanted <= hidden:
                assert [step.voice for step in trace if step.won] == [Voice.ERASURE]
        case answer:
            assert isinstance(answer, Retain)
            assert answer.until == wanted > claims.now


@checked(cases(), st.data())
def test_an_erasure_never_makes_anything_stay_longer(case: Case, data: st.DataObject):
    item, claims = case
    asked = data.draw(ERASURES)
    asked = replace(asked, requested_at=asked.requested_at + (claims.now - NOON))
    more = replace(claims, erasures=(*claims.erasures, asked))
    assert progress(item, more) >= progress(item, claims)


# ---- then explicit over implicit, then the shortest


@checked(cases(), st.data())
def test_a_rule_that_names_the_conversation_silences_those_that_do_not(case: Case, data: st.DataObject):
    item, claims = case
    here = frozenset({item.conversation})
    naming = replace(data.draw(DELETIONS), conversation_types=None, conversations=here)
    claims = replace(claims, rules=(*claims.rules, naming))
    kept = tuple(rule for rule in claims.rules if rule.kind is RuleKind.FLOOR or rule.is_explicit)
    assert dates(item, claims) == dates(item, replace(claims, rules=kept))


@checked(cases(), st.lists(DELETIONS, min_size=2, max_size=4), st.booleans(), examples=400)
def test_the_shortest_of_equal_deletions_hides_and_the_first_grace_that_is_over_destroys(
    case: Case, deletions: list[Rule], are_explicit: bool
):
    item, claims = case
    names = frozenset({item.conversation}) if are_explicit else None
    equals = [replace(rule, conversation_types=None, conversations=names) for rule in deletions]
    floors = binding(item, claims, RuleKind.FLOOR)
    claims = replace(claims, rules=(*floors, *equals), holds=(), erasures=())
    floor = max(kept_until(item, claims), default=item.sent_at)
    ends = [(max(rule.period.end(item.sent_at), floor), rule.grace) for rule in equals]
    late = replace(claims, now=max(end for end, _ in ends))
    assert dates(item, late) == (min(end for end, _ in ends), min(end + grace for end, grace in ends))


@checked(cases(), st.data())
def test_one_deletion_more_among_equals_never_makes_anything_stay_longer(case: Case, data: st.DataObject):
    item, claims = case
    deletions = binding(item, claims, RuleKind.DELETION)
    assume(deletions)
    names = frozenset({item.conversation}) if any(rule.is_explicit for rule in deletions) else None
    one = replace(data.draw(DELETIONS), conversations=names)
    assert progress(item, replace(claims, rules=(*claims.rules, one))) >= progress(item, claims)


# ---- and last what the sender took back


@checked(cases(), st.data())
def test_a_retraction_is_heard_only_if_no_rule_asks(case: Case, data: st.DataObject):
    item, claims = case
    took_back = data.draw(st.timedeltas(timedelta(0), 90 * DAY).map(lambda ago: claims.now - ago))
    retracted = replace(item, retracted_at=took_back)
    if binding(item, claims, RuleKind.DELETION):
        assert dates(retracted, claims) == dates(replace(item, retracted_at=None), claims)
        return
    claims = replace(claims, erasures=())
    due_at, destroy_at = dates(retracted, claims)
    assert due_at == max([took_back, *kept_until(item, claims)])
    assert destroy_at in (None, due_at + RETRACTION_GRACE)


# ---- each of these is seen to fail


def ranks(voice: Voice, rank: float) -> Plant:
    """Plant another rank for a voice."""
    return lambda patch: patch.setattr(decision, "PRECEDENCE", {**PRECEDENCE, voice: rank})


def alters(name: str, alter: Callable[[Any], Callable[..., Any]]) -> Plant:
    """Plant another function in the place of the decision's own."""
    return lambda patch: patch.setattr(decision, name, alter(getattr(decision, name)))


def without_erasures(steps: list[Step]) -> list[Step]:
    """Return the steps without erasures, if a rule speaks, too."""
    return [step for step in steps if step.voice is not Voice.ERASURE] or steps


def with_grace(steps: list[Step]) -> list[Step]:
    """Return the steps with a day's grace for erasures."""
    return [replace(step, grace=DAY) if step.voice is Voice.ERASURE else step for step in steps]


DEFECTS: dict[str, tuple[Plant, Callable[[], None]]] = {
    "a hold is not heard": (
        alters("covers", lambda _: lambda *_: False),
        test_a_covered_item_is_never_disposed_of,
    ),
    "a hold by custodian sees senders alone": (
        alters("covers", lambda true: lambda hold, item: true(hold, replace(item, audience=frozenset()))),
        test_a_covered_item_is_never_disposed_of,
    ),
    "two holds cancel each other": (
        alters("_holding", lambda true: lambda *of: [] if len(true(*of)) > 1 else true(*of)),
        test_a_covered_item_is_never_disposed_of,
    ),
    "an item on hold forgets when it was due": (
        alters("Preserve", lambda true: lambda holds, _, trace: true(holds, None, trace)),
        test_a_release_leaves_what_would_have_been_without_the_hold,
    ),
    "the shortest floor wins": (
        alters("_floors", lambda true: lambda *of: true(*of)[::-1]),
        test_nothing_is_due_before_the_longest_floor_under_it_ends,
    ),
    "a lock is no floor": (
        alters("_floors", lambda true: lambda item, rules, _: true(item, rules, ())),
        test_nothing_is_due_before_the_longest_floor_under_it_ends,
    ),
    "an erasure goes before a floor": (
        alters(
            "_demand",
            lambda true: (
                lambda asking, kept: true(
                    asking, BEGINNING if asking and asking[0].voice is Voice.ERASURE else kept
                )
            ),
        ),
        test_an_erasure_is_due_as_soon_as_no_floor_forbids_it_and_has_no_grace,
    ),
    "a rule silences an erasure": (
        alters("_demand", lambda true: lambda asking, kept: true(without_erasures(asking), kept)),
        test_an_erasure_is_due_as_soon_as_no_floor_forbids_it_and_has_no_grace,
    ),
    "an erasure waits": (
        alters("_asking", lambda true: lambda *of: with_grace(true(*of))),
        test_an_erasure_is_due_as_soon_as_no_floor_forbids_it_and_has_no_grace,
    ),
    "an erasure reaches what others sent": (
        alters("concerns", lambda _: lambda erasure, item: erasure.subject in item.audience),
        test_who_does_not_speak_about_an_item_changes_nothing,
    ),
    "explicit is no more than implicit": (
        ranks(Voice.EXPLICIT, PRECEDENCE[Voice.IMPLICIT]),
        test_a_rule_that_names_the_conversation_silences_those_that_do_not,
    ),
    "the longest deletion wins": (
        alters("_demand", lambda true: lambda asking, kept: true(asking[-1:], kept)),
        test_the_shortest_of_equal_deletions_hides_and_the_first_grace_that_is_over_destroys,
    ),
    "the rule that hides destroys, too": (
        alters("_demand", lambda true: lambda asking, kept: true(asking[:1], kept)),
        test_the_shortest_of_equal_deletions_hides_and_the_first_grace_that_is_over_destroys,
    ),
    "a retraction goes before the rules": (
        ranks(Voice.RETRACTION, 2.5),
        test_a_retraction_is_heard_only_if_no_rule_asks,
    ),
    "only the first rule is heard": (
        alters("disposition_of", lambda true: lambda item, rules, *of: true(item, rules[:1], *of)),
        test_neither_order_nor_repetition_of_the_claims_matters,
    ),
    "a rule asks before its period has begun": (
        alters("_demand", lambda true: lambda *of: (d := true(*of)) and d._replace(due_at=d.due_at - DAY)),
        test_the_trace_is_in_the_order_of_precedence_and_names_who_won,
    ),
    "nobody has won": (
        alters("replace", lambda true: lambda step, won: true(step, won=False)),
        test_the_trace_is_in_the_order_of_precedence_and_names_who_won,
    ),
}


@pytest.mark.planted
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_decision_with_a_planted_defect_is_caught(defect: str, monkeypatch: pytest.MonkeyPatch):
    plant, proof = DEFECTS[defect]
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        proof()


# ---- examples to read


def test_nothing_is_asked_of_an_item_that_no_rule_binds():
    assert Claims().decide(item_of(9000 * DAY)) == Retain(None, ())


def test_a_floor_alone_keeps_and_then_leaves_the_item_alone():
    claims = Claims(rules=(Rule(FLOOR, 1, RuleKind.FLOOR, Period(years=3)),))
    (step,) = claims.decide(item_of(DAY)).trace
    assert step.won
    assert claims.decide(item_of(9000 * DAY)) == Retain(
        None, (Step(Voice.FLOOR, FLOOR, 1, Period(years=3).end(NOON - 9000 * DAY)),)
    )


def test_a_message_is_hidden_when_it_is_due_and_destroyed_when_its_grace_is_over():
    claims = Claims(rules=(Rule(RULE, 2, RuleKind.DELETION, Period(days=30), grace=7 * DAY),))
    ages = [29 * DAY, 30 * DAY, 36 * DAY, 37 * DAY]
    standings = [standing_of(claims.decide(item_of(age)), NOON) for age in ages]
    assert standings == [Standing.RETAINED, Standing.HIDDEN, Standing.HIDDEN, Standing.RIPE]


def test_a_hold_covers_its_range_from_its_first_instant_to_before_its_last():
    hold = Hold(UUID(int=9), since=NOON - DAY, until=NOON)
    tick = timedelta.resolution
    ages = (DAY + tick, DAY, tick, 0 * tick)
    assert [covers(hold, item_of(age)) for age in ages] == [False, True, True, False]


def test_a_hold_covers_what_its_custodian_sent_or_received_and_all_of_its_conversations():
    sent = item_of(DAY)
    elsewhere = replace(sent, conversation=CONVERSATIONS[1])
    assert covers(Hold(UUID(int=9), custodians=frozenset({ALICE})), sent)
    assert covers(Hold(UUID(int=9), custodians=frozenset({BOB})), sent)
    assert not covers(Hold(UUID(int=9), custodians=frozenset({CAROL})), sent)
    assert not covers(Hold(UUID(int=9), conversations=frozenset({HERE})), elsewhere)
    both = Hold(UUID(int=9), custodians=frozenset({CAROL}), conversations=frozenset({HERE}))
    assert covers(both, sent)
    assert not covers(both, elsewhere)


def test_an_item_on_two_holds_stays_on_the_second_when_the_first_is_released():
    first, second = Hold(UUID(int=2)), Hold(UUID(int=1), custodians=frozenset({BOB}))
    rules = (Rule(RULE, 1, RuleKind.DELETION, Period(days=1)),)
    both = Claims(rules, (first, second)).decide(item_of(9 * DAY))
    one = Claims(rules, (second,)).decide(item_of(9 * DAY))
    assert isinstance(both, Preserve)
    assert isinstance(one, Preserve)
    assert (both.holds, one.holds) == ((second.hold, first.hold), (second.hold,))
    assert isinstance(Claims(rules).decide(item_of(9 * DAY)), Dispose)


def test_an_erasure_concerns_what_its_subject_had_sent_up_to_it():
    erasure, tick = Erasure(UUID(int=7), ALICE, NOON), timedelta.resolution
    assert [concerns(erasure, item_of(age)) for age in (tick, 0 * tick, -tick)] == [True, True, False]
    assert not concerns(erasure, replace(item_of(DAY), sender=BOB))
    assert not concerns(erasure, replace(item_of(DAY), sender=None))


def test_where_a_floor_kept_both_a_rule_and_an_erasure_waiting_the_erasure_wins():
    rules = (
        Rule(FLOOR, 1, RuleKind.FLOOR, Period(days=30)),
        Rule(RULE, 1, RuleKind.DELETION, Period(days=10)),
    )
    asked = Erasure(UUID(int=7), ALICE, NOON - 80 * DAY)
    answer = Claims(rules, erasures=(asked,)).decide(item_of(99 * DAY))
    assert isinstance(answer, Dispose)
    assert answer.due_at == answer.destroy_at == NOON - 69 * DAY
    assert [step.voice for step in answer.trace if step.won] == [Voice.ERASURE]


def test_what_a_rule_hid_before_the_request_stays_hidden_since_then_and_is_destroyed_by_the_request():
    rules = (Rule(RULE, 1, RuleKind.DELETION, Period(days=10), grace=30 * DAY),)
    asked = Erasure(UUID(int=7), ALICE, NOON - DAY)
    answer = Claims(rules, erasures=(asked,)).decide(item_of(20 * DAY))
    assert isinstance(answer, Dispose)
    assert (answer.due_at, answer.destroy_at) == (NOON - 10 * DAY, NOON - DAY)
    assert [step.voice for step in answer.trace if step.won] == [Voice.ERASURE, Voice.IMPLICIT]


def test_a_lock_is_extended_and_never_shortened():
    lock = Lock(UUID(int=8), Period(years=3), frozenset({"group"}))
    assert lock.extended_to(Period(years=7), None) == Lock(lock.lock, Period(years=7))
    for period, types in [
        (Period(years=2, months=11), lock.conversation_types),
        (Period(days=9000), lock.conversation_types),  # longer, but only a calendar could tell
        (Period(years=3), frozenset({"direct"})),
    ]:
        with pytest.raises(PeriodRefused):
            lock.extended_to(period, types)
    with pytest.raises(PeriodRefused):
        Lock(lock.lock, Period(years=3)).extended_to(Period(years=3), frozenset({"group"}))
