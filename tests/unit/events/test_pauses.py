"""How long a publisher rests after a round."""

import pytest

from libs.events.outbox_reader import RECORDS_A_PARTITION
from libs.events.publisher import BUSY_SECONDS, IDLE_SECONDS, pause_after


def test_a_backlog_waits_for_nothing() -> None:
    assert pause_after(RECORDS_A_PARTITION, IDLE_SECONDS) == 0.0


def test_after_a_few_records_some_more_gather() -> None:
    assert pause_after(1, IDLE_SECONDS) == BUSY_SECONDS


@pytest.mark.parametrize("before", [0.0, BUSY_SECONDS, IDLE_SECONDS])
def test_who_finds_nothing_rests_ever_longer_and_never_spins(before: float) -> None:
    after = pause_after(0, before)
    assert BUSY_SECONDS <= after <= IDLE_SECONDS
    assert after > before or after == IDLE_SECONDS
