"""Leaves are counted once each, within the positions that are compared, and differences are told."""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.evidence.leaf import Leaf, leaf_of
from libs.kernel.ids import TenantId
from services.audit.domain.errors import LogDamaged
from services.audit.domain.reconciling import Disagreement, Tally, are_within, disagreements_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ONE, TWO = TenantId(UUID(int=1)), TenantId(UUID(int=2))
SOURCES = ("identity", "keys")
PLACES = st.tuples(st.sampled_from(SOURCES), st.integers(0, 2), st.integers(1, 20))


def leaf(index: int, source: str = "identity", part: int = 3, position: int = 1, log: UUID = ONE) -> bytes:
    return leaf_of(Leaf(log, index, UUID(int=index), source, part, position, NOON, bytes(32)))


def tally_of(*places: tuple[str, int, int], reached: int = 0) -> Tally:
    tally = Tally(ONE)
    for index, (source, part, position) in enumerate(places):
        tally.take(leaf(index, source, part, position), everywhere(reached))
    return tally


def everywhere(position: int) -> dict[str, dict[int, int]]:
    return {source: dict.fromkeys(range(64), position) for source in SOURCES}


@given(st.lists(PLACES), st.lists(st.integers(0, 20), min_size=1, max_size=4))
def test_however_positions_advance_each_leaf_within_them_is_counted_once(
    places: list[tuple[str, int, int]], reached: list[int]
) -> None:
    first, *later = sorted(reached)
    tally = tally_of(*places, reached=first)
    for position in (first, *later):
        tally.reach(everywhere(position))
        expected = Counter(source for source, _, at in places if at <= position)
        assert tally.counted(everywhere(20)) == expected


def test_leaves_beyond_the_positions_wait_and_those_that_nobody_sequenced_do_not() -> None:
    tally = tally_of(("identity", 3, 1), ("identity", 3, 2), ("identity", 4, 900), ("keys", 3, 1))
    tally.reach({"identity": {3: 1, 4: 0}})
    assert tally.counted(everywhere(900)) == {"identity": 1}
    assert tally.counted({"identity": {3: 2, 4: 7}}) == {"identity": 2, "keys": 1}


@pytest.mark.planted
@pytest.mark.parametrize(
    ("planted", "reason"),
    [
        (leaf(1), "a leaf stands where it does not belong"),
        (leaf(0, log=TWO), "a leaf stands where it does not belong"),
        (leaf(0)[:-1], "the leaf is not canonical"),
    ],
)
def test_a_leaf_that_is_none_or_belongs_elsewhere_is_refused(planted: bytes, reason: str) -> None:
    with pytest.raises(LogDamaged) as refused:
        Tally(ONE).take(planted, {})
    assert (refused.value.reason, refused.value.index, refused.value.tenant) == (reason, 0, ONE)


def test_positions_are_within_others_when_every_part_is() -> None:
    assert are_within({0: 3, 1: 0}, {0: 3})
    assert not are_within({0: 3, 1: 1}, {0: 3})


GRANTED, ENDED = (ONE, "identity.role.granted"), (TWO, "identity.session.ended")


def test_the_same_counts_disagree_in_nothing() -> None:
    assert disagreements_of("identity", {GRANTED: 2, ENDED: 0}, {GRANTED: 2}, {ONE: 2}) == []


@pytest.mark.planted
@pytest.mark.parametrize(
    ("details", "leaves", "told"),
    [
        ({GRANTED: 1}, {ONE: 2}, [(ONE, GRANTED[1], 2, 1)]),
        ({GRANTED: 2}, {ONE: 1}, [(ONE, None, 2, 1)]),
        ({GRANTED: 2, ENDED: 1}, {ONE: 2, TWO: 1}, [(TWO, ENDED[1], 0, 1), (TWO, None, 0, 1)]),
        (
            {(ONE, "identity.role.revoked"): 2},
            {ONE: 2},
            [(ONE, GRANTED[1], 2, 0), (ONE, "identity.role.revoked", 0, 2)],
        ),
        ({}, {}, [(ONE, GRANTED[1], 2, 0), (ONE, None, 2, 0)]),
    ],
)
def test_every_difference_is_told_by_details_and_by_leaves(
    details: dict[tuple[TenantId, str], int],
    leaves: dict[TenantId, int],
    told: list[tuple[TenantId, str | None, int, int]],
) -> None:
    found = disagreements_of("identity", {GRANTED: 2}, details, leaves)
    assert found == [Disagreement("identity", *one) for one in told]
