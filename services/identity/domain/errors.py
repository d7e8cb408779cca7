"""What identity refuses, by its facts; the edge turns each into a problem document."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError
from libs.kernel.ids import PrincipalId


@dataclass(eq=False)
class NotFound(DomainError):
    """There is no such thing for whoever asks: absent and forbidden are the same."""

    kind: str


@dataclass(eq=False)
class SignInRefused(DomainError):
    """Name, password or code prove nothing. One error for every reason.

    `principal` is whose name was used, where there is such a person; the answer never tells.
    """

    principal: PrincipalId | None = None


@dataclass(eq=False)
class SignInThrottled(DomainError):
    """Too many failures for this name; the next try counts in `retry_after_seconds`."""

    retry_after_seconds: int


@dataclass(eq=False)
class SessionEnded(DomainError):
    """The refresh token opens nothing: unknown, used before, expired or revoked, all alike.

    `principal` is whose session the token names, where there is one; the answer never tells.
    """

    principal: PrincipalId | None = None


@dataclass(eq=False)
class SigningUnavailable(DomainError):
    """No key to sign access tokens can be had now."""

    retry_after_seconds: int = 2


@dataclass(eq=False)
class ScimTokenRefused(DomainError):
    """The bearer token opens no tenant's SCIM endpoint: unknown, expired or revoked, all alike."""


@dataclass(eq=False)
class SlugTaken(DomainError):
    """Another tenant has this slug."""

    slug: str


@dataclass(eq=False)
class SlugRefused(DomainError):
    """A slug is 2 to 40 characters of a-z, 0-9 and inner hyphens."""


@dataclass(eq=False)
class RoleUnknown(DomainError):
    """There is no such role."""


@dataclass(eq=False)
class PasswordRefused(DomainError):
    """A password has 8 to 1,024 characters, and its tenant signs in locally."""


@dataclass(eq=False)
class InvalidSyntax(DomainError):
    """A SCIM request is not built as RFC 7644 says."""

    detail: str


@dataclass(eq=False)
class InvalidValue(DomainError):
    """A SCIM value is missing, of the wrong type, or not for this server to accept."""

    detail: str


@dataclass(eq=False)
class InvalidFilter(DomainError):
    """A SCIM filter cannot be read, or asks for what this server does not filter by."""

    detail: str


@dataclass(eq=False)
class InvalidPath(DomainError):
    """The path of a SCIM PATCH operation cannot be read."""

    detail: str


@dataclass(eq=False)
class NoTarget(DomainError):
    """The path of a SCIM PATCH operation leads nowhere."""

    detail: str


@dataclass(eq=False)
class NotMutable(DomainError):
    """A SCIM attribute that only the server sets."""

    detail: str


@dataclass(eq=False)
class NotUnique(DomainError):
    """Another user of the tenant has this value of `attribute`."""

    attribute: str


@dataclass(eq=False)
class VersionMismatch(DomainError):
    """The resource is no longer the version that the client changes."""
