"""Months of `sent_at`, each sealed under data keys of its own, and when nobody seals there any more. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

CLOCKS: Final = timedelta(hours=1)
"""A month is over for everybody when this much more has passed: clocks differ, and sends are under way."""


class Month(NamedTuple):
    """A month of `sent_at`, in UTC: from `since` on and before `until`."""

    since: datetime
    until: datetime

    @property
    def epoch(self) -> str:
        """Its name (`2026-11`)."""
        return epoch_of(self.since)


def epoch_of(sent_at: datetime) -> str:
    """Return the name of the month that seals what was sent at `sent_at`."""
    in_utc = sent_at.astimezone(UTC)
    return f"{in_utc.year:04}-{in_utc.month:02}"


def is_quiet(month: Month, now: datetime, *, brought: bool | None) -> bool:
    """Say whether nobody seals anything in a month of a conversation any more.

    Sends are sealed in the month in which they are sent. An import seals any month, in conversations of
    its own alone, and nothing when it is finished; `brought` says that of a conversation that one brought.
    """
    return brought if brought is not None else now >= month.until + CLOCKS
