"""The three ways in which a caller's proof of identity can fail."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError


@dataclass(eq=False)
class Unauthenticated(DomainError):
    """The caller proved nothing. One error for every defect, so that it tells a forger nothing."""


@dataclass(eq=False)
class VerificationUnavailable(DomainError):
    """The key that a token names is unknown here and cannot be asked for now: neither yes nor no."""

    retry_after_seconds: int = 1


@dataclass(eq=False)
class RevocationsUnknown(DomainError):
    """What was revoked lately is unknown here for too long; refusing is the only safe answer."""

    retry_after_seconds: int = 1
