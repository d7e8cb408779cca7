"""Whoever was a participant of a conversation is shown to be one, and nobody else is."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.evidence.canonical import canonical, canonical_line, parse_json
from libs.evidence.completeness import (
    ConversationHead,
    Membership,
    OpenedHead,
    ParticipantsTree,
    head_object,
    is_participant,
    map_root,
    membership_of,
    parse_head,
    participants_tree,
)
from libs.evidence.errors import EvidenceRefused

SALT = bytes(range(16))
PEOPLE = st.frozensets(st.uuids(), max_size=40)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(PEOPLE, st.uuids(), st.data())
def test_a_participant_is_shown_to_be_one_and_others_not_to_be(
    people: frozenset[UUID], stranger: UUID, data: st.DataObject
):
    tree = participants_tree(people, SALT)
    asked = data.draw(st.sampled_from(sorted(people | {stranger})))
    shown = membership_of(people, SALT, asked)
    assert is_participant(asked, SALT, tree, shown, "here") == (asked in people)
    assert len(shown.tags) <= 2


@given(PEOPLE, st.uuids())
def test_the_order_in_which_participants_are_given_changes_nothing(people: frozenset[UUID], other: UUID):
    ordered = sorted(people)
    assert participants_tree(ordered, SALT) == participants_tree(ordered[::-1], SALT)
    assert participants_tree(people | {other}, SALT) != participants_tree(people - {other}, SALT)


@pytest.mark.planted
@given(st.frozensets(st.uuids(), min_size=1, max_size=12), st.data())
def test_a_participant_cannot_be_hidden(people: frozenset[UUID], data: st.DataObject):
    tree, hidden = participants_tree(people, SALT), data.draw(st.sampled_from(sorted(people)))
    honest = membership_of(people, SALT, hidden)
    without = membership_of(people - {hidden}, SALT, hidden)
    others = [membership_of(people, SALT, one) for one in people - {hidden}]
    forged = [without, *others, Membership(0, (), ()), replace_tags(honest), honest._replace(proof=())]
    for shown in forged:
        try:
            found = is_participant(hidden, SALT, tree, shown, "here")
        except EvidenceRefused:
            continue
        assert found


def replace_tags(shown: Membership) -> Membership:
    return shown._replace(tags=tuple(bytes(32) for _ in shown.tags))


def test_an_empty_conversation_shows_nobody():
    nobody = participants_tree((), SALT)
    assert not is_participant(UUID(int=1), SALT, nobody, membership_of((), SALT, UUID(int=1)), "here")
    with pytest.raises(EvidenceRefused):
        is_participant(
            UUID(int=1), SALT, ParticipantsTree(0, bytes(32)), membership_of((), SALT, UUID(int=1)), "here"
        )


def test_the_map_has_one_order_and_another_root_for_every_other_map():
    heads = [
        ConversationHead(UUID(int=number), 3, participants_tree([UUID(int=9)], SALT).commitment())
        for number in (1, 2, 3)
    ]
    root = map_root(heads)
    assert map_root(heads[:2]) != root
    assert map_root([*heads[:2], replace(heads[2], last_seq=4)]) != root
    assert map_root([*heads[:2], replace(heads[2], participants=bytes(32))]) != root
    for wrong in (heads[::-1], [heads[0], heads[0]]):
        with pytest.raises(EvidenceRefused):
            map_root(wrong)


@given(PEOPLE, st.lists(st.uuids(), max_size=3), st.booleans())
def test_a_conversation_of_the_map_is_read_as_it_was_written(
    people: frozenset[UUID], custodians: list[UUID], named: bool
):
    tree = participants_tree(people, SALT)
    opened = OpenedHead(
        ConversationHead(UUID(int=5), 12, tree.commitment()),
        tree,
        SALT,
        tuple(membership_of(people, SALT, each) for each in custodians),
        4 if named else None,
        (bytes(32),) if named else (),
    )
    assert parse_head(parse_json(canonical_line(head_object(opened)), "line"), "line") == opened


@given(
    st.recursive(
        TEXT | st.none() | st.booleans(), lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
    )
)
def test_a_line_is_canonical_json(value: object):
    assert canonical_line({"value": [value]}) == canonical({"value": [value]}) or not only_ascii_names(value)


def only_ascii_names(value: object) -> bool:
    if isinstance(value, dict):
        return all(name.isascii() and only_ascii_names(each) for name, each in value.items())
    return all(only_ascii_names(each) for each in value) if isinstance(value, list) else True
