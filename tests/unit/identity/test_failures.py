"""Wrong passwords make a name wait, and nobody can be locked out for long."""

from hypothesis import given
from hypothesis import strategies as st

from services.identity.domain.failures import FREE_FAILURES, LONGEST_WAIT_SECONDS, FailureLedger

ROUNDING = 1e-6
"""What floating point adds to a sum of many seconds."""


def test_the_first_failures_are_free_and_then_the_wait_doubles():
    ledger = FailureLedger()
    waits = []
    for _ in range(FREE_FAILURES + 4):
        waits.append(ledger.wait_of("ada", 0.0))
        ledger.note_failure("ada", 0.0)
    assert waits == [0.0] * FREE_FAILURES + [1.0, 2.0, 4.0, 8.0]


def test_a_success_wipes_the_slate():
    ledger = FailureLedger()
    for _ in range(10):
        ledger.note_failure("ada", 0.0)
    ledger.note_success("ada")
    assert ledger.wait_of("ada", 0.0) == 0.0


@given(st.lists(st.floats(0, 1000), max_size=200))
def test_nobody_waits_longer_than_promised(pauses):
    ledger, now = FailureLedger(), 0.0
    for pause in pauses:
        now += pause
        ledger.note_failure("ada", now)
        assert 0.0 <= ledger.wait_of("ada", now) <= LONGEST_WAIT_SECONDS + ROUNDING
    assert ledger.wait_of("ada", now + LONGEST_WAIT_SECONDS + ROUNDING) == 0.0


def test_the_memory_is_bounded():
    ledger = FailureLedger(remembered=10)
    for number in range(100):
        for _ in range(FREE_FAILURES + 1):
            ledger.note_failure(number, 0.0)
    assert len(ledger._by_name) == 10
    assert ledger.wait_of(99, 0.0) > 0
