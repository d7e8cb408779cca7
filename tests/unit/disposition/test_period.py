"""Periods end by the calendar, never a day short, and statements see the same ends."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.disposition.errors import PeriodRefused
from libs.disposition.period import BEGINNING, FOREVER, INSTANT, Period, later
from tests.unit.disposition.cases import MOMENTS, PERIODS

_INSTANTS = st.datetimes(max_value=datetime(9998, 1, 1), timezones=st.timezones())  # noqa: DTZ001
_PERIODS = st.builds(Period, *[st.integers(0, 4000)] * 3)


@pytest.mark.parametrize(
    ("start", "period", "end"),
    [
        ("2023-11-24T12:00", Period(years=3), "2026-11-24T12:00"),
        ("2024-02-29T12:00", Period(years=1), "2025-03-01T00:00"),  # the whole of that February
        ("2024-02-29T12:00", Period(years=4), "2028-02-29T12:00"),
        ("2023-02-28T12:00", Period(years=1), "2024-02-28T12:00"),
        ("2026-01-31T12:00", Period(months=1), "2026-03-01T00:00"),
        ("2026-12-31T12:00", Period(months=2), "2027-03-01T00:00"),
        ("2026-03-31T12:00", Period(months=9), "2026-12-31T12:00"),
        ("2026-10-31T12:00", Period(months=1, days=1), "2026-12-02T00:00"),
        ("2026-11-24T12:00", Period(days=30), "2026-12-24T12:00"),
        ("2026-11-24T12:00", Period(), "2026-11-24T12:00"),
    ],
)
def test_a_period_ends_by_the_calendar(start: str, period: Period, end: str):
    assert period.end(datetime.fromisoformat(start + "Z")) == datetime.fromisoformat(end + "Z")


def test_the_calendar_is_that_of_utc():
    in_new_york = datetime.fromisoformat("2026-01-30T22:00-05:00")  # the 31st in UTC
    assert Period(months=1).end(in_new_york) == datetime(2026, 3, 1, tzinfo=UTC)


@given(PERIODS, MOMENTS, MOMENTS)
def test_who_starts_later_never_ends_earlier(period: Period, one: datetime, two: datetime):
    first, second = sorted((one, two))
    assert period.end(first) <= period.end(second)


@given(PERIODS, MOMENTS, st.integers(-3, 3))
def test_a_period_has_ended_exactly_for_those_that_started_before_the_bound(
    period: Period, now: datetime, step: int
):
    bound = period.open_from(now)
    start = bound + step * INSTANT
    assert (period.end(start) <= now) == (start < bound)


@given(_PERIODS, _INSTANTS, _INSTANTS)
def test_every_period_from_every_instant_has_an_end_and_a_bound(
    period: Period, start: datetime, now: datetime
):
    assert (period.end(start) <= now) == (start < period.open_from(now))


def test_what_ends_beyond_the_calendar_does_not_end():
    assert Period(years=9000).end(datetime(2026, 1, 1, tzinfo=UTC)) == FOREVER
    assert Period(days=10**12).end(datetime(2026, 1, 1, tzinfo=UTC)) == FOREVER
    assert Period(days=10**12).open_from(datetime(2026, 1, 1, tzinfo=UTC)) == BEGINNING
    assert later(datetime(2026, 1, 1, tzinfo=UTC), timedelta.max) == FOREVER
    assert later(datetime(2026, 1, 1, tzinfo=UTC), timedelta.min) == BEGINNING


@given(PERIODS, PERIODS, MOMENTS)
def test_a_period_that_reaches_another_never_ends_before_it(one: Period, two: Period, start: datetime):
    if one.reaches(two):
        assert one.end(start) >= two.end(start)


def test_a_negative_period_is_refused():
    with pytest.raises(PeriodRefused):
        Period(months=-1)


def test_a_period_is_said_in_words():
    assert str(Period(years=6)) == "6 years"
    assert str(Period(years=1, months=1, days=30)) == "1 year, 1 month, 30 days"
    assert str(Period()) == "0 days"
