"""How long a publisher rests after a round, and a projector."""

import pytest

from libs.events.outbox_reader import RECORDS_A_PARTITION
from libs.events.projector import PROMPT, THRIFTY, Pace
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


@pytest.mark.parametrize("pace", [PROMPT, THRIFTY])
def test_a_projector_gathers_after_little_and_never_within_a_backlog(pace: Pace) -> None:
    assert pace.gathers(1) == pace.gathers(pace.enough - 1) == pace.gather_seconds
    assert pace.gathers(pace.enough) == pace.gathers(100_000) == 0.0
    assert pace.gathers(0) == 0.0, "who found nothing has waited where he read"


def test_who_has_a_part_of_a_second_gathers_longer_and_more_than_who_is_waited_for() -> None:
    assert PROMPT.gather_seconds < 0.05 < THRIFTY.gather_seconds < 0.25
    assert PROMPT.transaction < THRIFTY.transaction
    assert PROMPT.partition < THRIFTY.partition
