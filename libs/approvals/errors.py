"""What four eyes refuse."""

from dataclasses import dataclass
from uuid import UUID

from libs.kernel.errors import DomainError


@dataclass(eq=False)
class ReasonRefused(DomainError):
    """A request needs a reason, of not more than `most` characters."""

    size: int
    most: int


@dataclass(eq=False)
class RequestNotFound(DomainError):
    """There is no such request, or it is not for this person to see: all the same."""

    request: UUID


@dataclass(eq=False)
class ApproverRefused(DomainError):
    """Who asked, and whom it concerns, cannot decide."""

    request: UUID


@dataclass(eq=False)
class DigestDiffers(DomainError):
    """What was seen, or what is to be done, is not what was asked for."""

    request: UUID


@dataclass(eq=False)
class RequestDecided(DomainError):
    """The request waits for nobody: it is approved, refused, expired or used."""

    request: UUID
    state: str


@dataclass(eq=False)
class NotApproved(DomainError):
    """The act has no approval that is good now: it is pending, refused, expired or used."""

    request: UUID
    state: str
