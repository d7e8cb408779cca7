"""Who takes part, and what a participant may see."""

import itertools
from collections.abc import Iterable
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.ids import ConversationId, PrincipalId
from services.messaging.domain.entries import ConversationKind
from services.messaging.domain.errors import DirectIsFixed, LastAdministrator, ParticipantUnknown, SizeRefused
from services.messaging.domain.membership import (
    Audiences,
    Members,
    Missed,
    Span,
    Standing,
    decide_added,
    decide_appointed,
    decide_dismissed,
    decide_participants,
    decide_removed,
    direct_conversation_of,
    facts_of,
    group_conversation_of,
    joined_spans,
)
from tests.unit.messaging.drafts import TENANT, named

ADA, BO, CY = (PrincipalId(named(name)) for name in ("ada", "bo", "cy"))
PLANS = ConversationId(named("plans"))


def _members(*present: PrincipalId) -> Members:
    """Return people of whom the first is the administrator."""
    return Members(frozenset(present), frozenset(present[:1]))


def _standing(*spans: Span, administrator: bool = False) -> Standing:
    return Standing(ConversationKind.GROUP, spans, administrator, 100, 1)


@pytest.mark.parametrize(
    ("first", "last", "sees"),
    [
        (5, 9, True),
        (5, 20, True),
        (9, 10, True),
        (40, 100, True),
        (4, 5, False),
        (6, 5, False),
        (20, 21, False),
        (20, 40, False),
        (40, 101, False),
        (101, 101, False),
    ],
)
def test_a_row_of_entries_is_seen_as_a_whole_or_not(first: int, last: int, sees: bool) -> None:
    standing = _standing(Span(5, 9), Span(10, 20), Span(40, None))
    assert standing.sees(first, last) is sees


def test_a_pair_has_one_conversation_whoever_begins_it() -> None:
    assert direct_conversation_of(TENANT, ADA, BO) == direct_conversation_of(TENANT, BO, ADA)
    assert direct_conversation_of(TENANT, ADA, BO) != direct_conversation_of(TENANT, ADA, CY)
    assert direct_conversation_of(TENANT, ADA, BO).version == 8


def test_a_group_is_named_by_its_creator_and_his_id() -> None:
    one = uuid4()
    assert group_conversation_of(TENANT, ADA, one) == group_conversation_of(TENANT, ADA, one)
    assert group_conversation_of(TENANT, ADA, one) != group_conversation_of(TENANT, BO, one)


def test_the_creator_takes_part_and_nobody_twice() -> None:
    assert decide_participants(ADA, [BO, ADA, BO], ConversationKind.GROUP) == (ADA, BO)


@pytest.mark.parametrize(
    ("others", "kind"),
    [
        ([], ConversationKind.GROUP),
        ([], ConversationKind.DIRECT),
        ([BO, CY], ConversationKind.DIRECT),
        ([PrincipalId(uuid4()) for _ in range(1000)], ConversationKind.GROUP),
    ],
)
def test_a_conversation_has_two_to_a_thousand_participants(
    others: list[PrincipalId], kind: ConversationKind
) -> None:
    with pytest.raises(SizeRefused):
        decide_participants(ADA, others, kind)


def test_only_those_who_are_absent_are_added_and_only_those_present_removed() -> None:
    members = _members(ADA, BO)
    assert decide_added(PLANS, ConversationKind.GROUP, members, [BO, CY, CY]) == (CY,)
    assert decide_removed(PLANS, ConversationKind.GROUP, members, [BO, CY]) == (BO,)


def test_a_one_to_one_conversation_never_changes() -> None:
    with pytest.raises(DirectIsFixed):
        decide_added(PLANS, ConversationKind.DIRECT, _members(ADA, BO), [CY])
    with pytest.raises(DirectIsFixed):
        decide_removed(PLANS, ConversationKind.DIRECT, _members(ADA, BO), [BO])


def test_a_full_group_takes_nobody_more() -> None:
    full = _members(*(PrincipalId(uuid4()) for _ in range(1000)))
    with pytest.raises(SizeRefused):
        decide_added(PLANS, ConversationKind.GROUP, full, [ADA])
    assert decide_added(PLANS, ConversationKind.GROUP, full, full.present) == ()
    assert decide_added(PLANS, ConversationKind.GROUP, full, [ADA], 1001) == (ADA,)


def test_a_group_keeps_an_administrator_while_others_are_in_it() -> None:
    members = _members(ADA, BO)
    with pytest.raises(LastAdministrator):
        decide_removed(PLANS, ConversationKind.GROUP, members, [ADA])
    with pytest.raises(LastAdministrator):
        decide_dismissed(PLANS, members, [ADA])
    assert decide_removed(PLANS, ConversationKind.GROUP, members, [BO, ADA]) == (BO, ADA)
    assert decide_dismissed(PLANS, members, [BO]) == ()
    both = members._replace(administrators=frozenset({ADA, BO}))
    assert decide_removed(PLANS, ConversationKind.GROUP, both, [ADA]) == (ADA,)
    assert decide_dismissed(PLANS, both, [BO, BO]) == (BO,)
    nobodys = members._replace(administrators=frozenset())  # as older groups may be
    assert decide_removed(PLANS, ConversationKind.GROUP, nobodys, [ADA]) == (ADA,)


def test_participants_become_administrators_and_strangers_do_not() -> None:
    assert decide_appointed(_members(ADA, BO), [BO, ADA, BO]) == (BO,)
    with pytest.raises(ParticipantUnknown):
        decide_appointed(_members(ADA, BO), [BO, CY])


_SPANS = st.lists(st.tuples(st.integers(1, 30), st.none() | st.integers(0, 10)), min_size=1, max_size=5)


@given(_SPANS)
def test_spans_join_to_stretches_that_show_the_same_and_do_not_meet(
    drawn: list[tuple[int, int | None]],
) -> None:
    spans = [Span(first, None if more is None else first + more) for first, more in drawn]
    joined = joined_spans(spans)

    def seen(some: Iterable[Span]) -> set[int]:
        ends = [(span.from_seq, 60 if span.until_seq is None else span.until_seq) for span in some]
        return {seq for first, last in ends for seq in range(first, last + 1)}

    assert seen(joined) == seen(spans)
    assert (joined[-1].until_seq is None) == any(span.until_seq is None for span in spans)
    assert all(
        one.until_seq is not None and one.until_seq + 1 < other.from_seq
        for one, other in itertools.pairwise(joined)
    )


def test_a_device_misses_what_its_person_may_see_and_nothing_else() -> None:
    standing = _standing(Span(5, 9), Span(20, None))
    assert standing.missed(0, 30) == [Missed(4, 9), Missed(19, 30)]
    assert standing.missed(7, 30) == [Missed(7, 9), Missed(19, 30)]
    assert standing.missed(25, 30) == [Missed(25, 30)]
    assert standing.missed(30, 30) == []


_SPANS = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8)), min_size=1, max_size=4)


@given(_SPANS, st.booleans(), st.integers(0, 80))
def test_what_is_missed_is_exactly_the_visible_part_after_the_cursor(
    lengths: list[tuple[int, int]], left: bool, cursor: int
) -> None:
    spans, at = [], 0
    for before, length in lengths:
        spans.append(Span(at + before, at + before + length))
        at += before + length
    if not left:
        spans[-1] = Span(spans[-1].from_seq, None)
    last = at + 3
    visible = {seq for span in spans for seq in range(span.from_seq, (span.until_seq or last) + 1)}
    missed = [
        seq for after, until in _standing(*spans).missed(cursor, last) for seq in range(after + 1, until + 1)
    ]
    assert missed == sorted(seq for seq in visible if seq > cursor)


def test_the_policies_know_a_former_participant_from_a_present_one() -> None:
    assert facts_of(TENANT, _standing(Span(1, None))).holding == {"participant"}
    assert facts_of(TENANT, _standing(Span(1, 4))).holding == {"former_participant"}
    assert "administrator" in facts_of(TENANT, _standing(Span(1, None), administrator=True)).holding


SPANS = st.builds(
    lambda begin, length: Span(begin, None if length is None else begin + length),
    st.integers(1, 12),
    st.none() | st.integers(0, 6),
)
TAKEN = st.lists(st.tuples(st.sampled_from([ADA, BO, CY]), SPANS), max_size=8)


@given(TAKEN, TAKEN)
def test_an_audience_is_whoever_has_a_span_there_and_is_found_once(
    plans: list[tuple[PrincipalId, Span]], games: list[tuple[PrincipalId, Span]]
):
    spans = {PLANS: plans, ConversationId(named("games")): games}
    audiences = Audiences(spans)
    for conversation, taken in spans.items():
        for seq in range(1, 25):
            there = {
                principal
                for principal, span in taken
                if span.from_seq <= seq and (span.until_seq is None or seq <= span.until_seq)
            }
            found = audiences.found[audiences.place_of(conversation, seq)]
            assert (set(found), len(found)) == (there, len(there))
    assert len(set(audiences.found)) == len(audiences.found)


def test_a_conversation_without_spans_has_nobody():
    audiences = Audiences({})
    assert audiences.found[audiences.place_of(PLANS, 1)] == ()
