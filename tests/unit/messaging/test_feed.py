"""The order of a conversation at one gateway."""

from hypothesis import given
from hypothesis import strategies as st

from services.messaging.domain.feed import RECENT, Feed, Gap


def _fed(start: int, arrivals: list[int]) -> list[int]:
    feed: Feed[str] = Feed()
    passed = feed.load(start)
    for seq in arrivals:
        passed += feed.accept(seq, str(seq))
    return [seq for seq, _ in passed]


@given(st.integers(0, 20), st.permutations(range(1, 40)), st.lists(st.integers(1, 39), max_size=40))
def test_each_entry_passes_once_and_in_order_whatever_the_arrivals(
    start: int, arrivals: list[int], repeated: list[int]
) -> None:
    assert _fed(start, [*arrivals, *repeated]) == list(range(start + 1, 40))


@given(st.permutations(range(1, 20)), st.integers(0, 19))
def test_nothing_passes_over_a_gap(arrivals: list[int], missing: int) -> None:
    passed = _fed(0, [seq for seq in arrivals if seq != missing])
    assert passed == list(range(1, missing or 20))


def test_a_gap_names_what_is_missing() -> None:
    feed: Feed[str] = Feed()
    feed.load(3)
    feed.accept(7, "seven")
    assert feed.gap() == Gap(3, 7)
    for seq in (4, 5, 6):
        feed.accept(seq, "late")
    assert feed.gap() is None
    assert feed.position == 7


def test_what_arrives_before_the_position_is_known_is_held() -> None:
    feed: Feed[str] = Feed()
    assert feed.accept(5, "five") == []
    assert feed.accept(3, "three") == []
    assert feed.load(4) == [(5, "five")]
    assert feed.gap() is None


def test_a_feed_remembers_what_passed_lately_and_says_when_it_does_not() -> None:
    feed: Feed[str] = Feed()
    feed.load(0)
    for seq in range(1, RECENT + 11):
        feed.accept(seq, str(seq))
    assert feed.since(RECENT + 8) == [(RECENT + 9, str(RECENT + 9)), (RECENT + 10, str(RECENT + 10))]
    assert feed.since(RECENT + 10) == []
    assert feed.since(5) is None
