"""Time as a port: production reads the system's clocks, a test turns its own hands."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day and a time that never goes back."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start; never goes back within one run of the program."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start; never goes back within one run of the program."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is advanced, so that tests never sleep."""

    def __init__(self, start: datetime) -> None:
        """Start at `start`, which must be aware."""
        if start.tzinfo is None:
            msg = "a clock's instants are aware: give `start` a time zone"
            raise ValueError(msg)
        self._now = start.astimezone(UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the instant that the hands show, aware, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds by which this clock was advanced in all; a jump does not count."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on both clocks."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the time of day by `seconds` forward or back, as a wrong NTP answer would."""
        self._now += timedelta(seconds=seconds)
