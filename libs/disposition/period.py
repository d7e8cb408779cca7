"""Periods by the calendar: when one that starts now ends, and which have ended by now."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from libs.disposition.errors import PeriodRefused

FOREVER = datetime.max.replace(tzinfo=UTC)
BEGINNING = datetime.min.replace(tzinfo=UTC)
INSTANT = timedelta.resolution


@dataclass(frozen=True, slots=True)
class Period:
    """Years and months by the calendar of UTC, then days of 24 hours; none of them negative.

    A month that lacks the day ends the period with its own end: a year from 29 February ends as March
    begins, never a day short. So whoever starts later never ends earlier.
    Source: Regulation (EEC, Euratom) 1182/71, article 3(2)(c), for the missing day.
    """

    years: int = 0
    months: int = 0
    days: int = 0

    def __post_init__(self) -> None:
        """Refuse a negative part. Raises PeriodRefused."""
        if min(self.years, self.months, self.days) < 0:
            raise PeriodRefused("a period is not negative")

    def end(self, start: datetime) -> datetime:
        """Return the instant, in UTC, at which the period from `start` (aware) ends; FOREVER beyond 9999."""
        try:
            return _months_on(start.astimezone(UTC), self._whole_months) + timedelta(days=self.days)
        except (OverflowError, ValueError):
            return FOREVER

    def open_from(self, now: datetime) -> datetime:
        """Return the first start whose period has not ended by `now`: all before it have, none after it.

        This is `end` turned around, for statements: `end(start) <= now` if and only if
        `start < open_from(now)`, for every `now` before FOREVER.
        """
        try:
            then = now.astimezone(UTC) - timedelta(days=self.days)
            year, month = divmod(then.year * 12 + then.month - 1 - self._whole_months, 12)
            if then.day > monthrange(year, month + 1)[1]:
                return _month_after(year, month + 1)
            return then.replace(year=year, month=month + 1) + INSTANT
        except (OverflowError, ValueError):
            return BEGINNING

    def reaches(self, other: Self) -> bool:
        """Return whether this period is at least as long as `other`, whenever both start.

        Months are compared with months and days with days; what only a date could tell is answered no.
        """
        return self._whole_months >= other._whole_months and self.days >= other.days

    @property
    def _whole_months(self) -> int:
        return 12 * self.years + self.months

    def __str__(self) -> str:
        parts = (("year", self.years), ("month", self.months), ("day", self.days))
        said = [f"{count} {unit}{'s' * (count != 1)}" for unit, count in parts if count]
        return ", ".join(said) or "0 days"


def later(instant: datetime, by: timedelta) -> datetime:
    """Return `instant` moved by `by`, forward or back, and no further than time itself goes."""
    try:
        return instant.astimezone(UTC) + by
    except OverflowError:
        return FOREVER if by > timedelta(0) else BEGINNING


def _months_on(start: datetime, months: int) -> datetime:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    if start.day > monthrange(year, month + 1)[1]:
        return _month_after(year, month + 1)
    return start.replace(year=year, month=month + 1)


def _month_after(year: int, month: int) -> datetime:
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
