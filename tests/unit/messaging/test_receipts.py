"""Marks advance and are coalesced."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.messaging.domain.receipts import Advance, merge
from tests.unit.messaging.drafts import NOON

_ADVANCES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20)


@given(_ADVANCES)
def test_merged_marks_are_the_furthest_of_each_and_reading_is_receiving(marks: list[tuple[int, int]]) -> None:
    merged: Advance | None = None
    for step, (delivered, read) in enumerate(marks):
        merged = merge(merged, Advance(delivered, read, NOON + timedelta(seconds=step)))
    assert merged is not None
    assert merged.read == max(read for _, read in marks)
    assert merged.delivered == max(max(pair) for pair in marks)
    assert merged.at == NOON + timedelta(seconds=len(marks) - 1)
