"""What publishing and consuming events may refuse."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError
from libs.kernel.ids import TenantId


@dataclass(eq=False)
class CursorAhead(DomainError):
    """A consumer claims a position that its source never gave out: one of the two has lost its history."""

    consumer: str
    part: int
    position: int
    head: int


@dataclass(eq=False)
class GapUnfilled(DomainError):
    """Neither the stream nor the owner's outbox has the event after a cursor: only a rebuild helps."""

    source: str
    part: int
    position: int


@dataclass(eq=False)
class StreamIncomplete(DomainError):
    """Redis refused a part of what was to be copied; the outbox still holds it."""

    source: str
    refused: int


@dataclass(eq=False)
class ReplayFailed(DomainError):
    """A parked or dead event failed again; it and everything behind it stay where they are."""

    tenant: TenantId
    part: int
    position: int
    reason: str
