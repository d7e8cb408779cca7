"""The errors of the host itself."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError


@dataclass(eq=False)
class ServiceNotAllowed(DomainError):
    """A known service asked for what it has no business with."""

    service: str


@dataclass(eq=False)
class BodyUnreadable(DomainError):
    """A body between services is not what its route takes."""


@dataclass(eq=False)
class Unready(DomainError):
    """What this process needs is not there yet, or it is draining."""

    names: str
    retry_after_seconds: int = 1
