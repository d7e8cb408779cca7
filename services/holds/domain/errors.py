"""What is refused of holds."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.kernel.errors import DomainError

RETRY_AFTER_SECONDS: Final = 2


@dataclass(eq=False)
class HoldNotFound(DomainError):
    """There is no such hold, or none that this person may know of."""

    hold: UUID | None = None


@dataclass(eq=False)
class HoldRefused(DomainError):
    """A hold is asked for that cannot be placed; `reason` is for a person."""

    reason: str


@dataclass(eq=False)
class HoldConflict(DomainError):
    """The id was used before, for a hold on other terms."""

    hold: UUID


@dataclass(eq=False)
class HoldEnded(DomainError):
    """The hold is released already."""

    hold: UUID


@dataclass(eq=False)
class ReleasePending(DomainError):
    """Somebody asked for the release already, and it waits for another's approval."""

    request: UUID


@dataclass(eq=False)
class HoldsUnavailable(DomainError):
    """The holds cannot be reached: nothing was done, and the same request may be sent again."""

    retry_after_seconds: int = RETRY_AFTER_SECONDS


@dataclass(eq=False)
class ConfirmationAhead(DomainError):
    """An executor confirms a generation that was never given out: the databases do not belong together."""

    executor: str
    generation: int
    current: int
