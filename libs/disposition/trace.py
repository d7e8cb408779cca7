"""The trace of a decision: who spoke, in the order of precedence, and who won."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from libs.disposition.period import FOREVER


class Voice(StrEnum):
    """In which right somebody speaks about an item."""

    HOLD = "hold"
    LOCK = "preservation-lock"
    FLOOR = "floor"
    ERASURE = "erasure"
    EXPLICIT = "explicit-deletion"
    IMPLICIT = "implicit-deletion"
    RETRACTION = "retraction"


# The precedence, highest first. A preservation lock is a floor: the longest of both wins.
PRECEDENCE: Final[Mapping[Voice, int]] = {
    Voice.HOLD: 0,
    Voice.LOCK: 1,
    Voice.FLOOR: 1,
    Voice.ERASURE: 2,
    Voice.EXPLICIT: 3,
    Voice.IMPLICIT: 4,
    Voice.RETRACTION: 5,
}

_SAYS: Final[Mapping[Voice, str]] = {
    Voice.HOLD: "preserves it",
    Voice.LOCK: "keeps it until {at}",
    Voice.FLOOR: "keeps it until {at}",
    Voice.ERASURE: "asks for its destruction from {at}",
    Voice.EXPLICIT: "names its conversation, hides it from {at} and destroys it {grace} later",
    Voice.IMPLICIT: "hides it from {at} and destroys it {grace} later",
    Voice.RETRACTION: "hides it from {at} and destroys it {grace} later",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One voice about an item.

    `source` is the hold, lock, rule or erasure that speaks (None: the item's own retraction) and `version`
    that of a rule. `at` is until when a hold (FOREVER: it knows no end) or a floor keeps, or from when
    anything else asks for disposition, before it is weighed against the others. `won`: it decided.
    """

    voice: Voice
    source: UUID | None
    version: int | None
    at: datetime
    grace: timedelta = timedelta(0)
    won: bool = False

    def sentence(self) -> str:
        """Return the step as a sentence for a person."""
        name = self.voice.replace("-", " ").capitalize()
        version = "" if self.version is None else f" (version {self.version})"
        subject = f"{name}{'' if self.source is None else f' {self.source}'}{version}"
        at = "the end of the calendar" if self.at == FOREVER else _text(self.at)
        says = _SAYS[self.voice].format(at=at, grace=_days(self.grace))
        return f"{subject} {says}{': this decides' if self.won else ''}."

    def as_object(self) -> dict[str, object]:
        """Return the step as an object of JSON, in one spelling, for a certificate."""
        return {
            "voice": self.voice.value,
            "source": None if self.source is None else str(self.source),
            "version": self.version,
            "at": None if self.at == FOREVER else _text(self.at),
            "grace_seconds": int(self.grace.total_seconds()),
            "won": self.won,
        }


Trace = tuple[Step, ...]


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _days(grace: timedelta) -> str:
    days, rest = divmod(grace, timedelta(days=1))
    whole = f"{days} day{'s' * (days != 1)}"
    return whole if not rest else f"{whole} and {rest}"
