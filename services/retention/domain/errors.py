"""What is refused about retention."""

from dataclasses import dataclass
from uuid import UUID

from libs.kernel.errors import DomainError


@dataclass(eq=False)
class RetentionNotFound(DomainError):
    """There is no such thing, or it is not for this person to know: all the same."""

    kind: str


@dataclass(eq=False)
class RuleRefused(DomainError):
    """A rule, lock, erasure or order is asked for that cannot be; `reason` is for a person."""

    reason: str


@dataclass(eq=False)
class VersionPassed(DomainError):
    """Somebody changed it since it was read: read it again. `version` is the newest that is known."""

    version: int


@dataclass(eq=False)
class RuleEnded(DomainError):
    """The rule has ended, and is not changed any more."""

    rule: UUID


@dataclass(eq=False)
class RunRefused(DomainError):
    """The result of a dry run is not one that can be carried out; `reason` is for a person."""

    reason: str


@dataclass(eq=False)
class RunPending(DomainError):
    """Somebody asked for this run already: it waits for another's approval, or was approved."""

    request: UUID


@dataclass(eq=False)
class CertificateDiffers(DomainError):
    """What a run is said to have done is not what its items show: nobody can certify that."""

    order: UUID
    reason: str


@dataclass(eq=False)
class CertificateUnavailable(DomainError):
    """Something that a certificate needs cannot be had at the moment: its key, its items, its proof."""

    retry_after_seconds: int = 1


@dataclass(eq=False)
class AnswerForeign(DomainError):
    """An executor answers an order that was never given, or not in these terms: it is not believed."""

    order: UUID
    reason: str
