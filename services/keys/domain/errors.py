"""What the key service refuses, and why."""

from dataclasses import dataclass
from typing import Final

from libs.kernel.errors import DomainError
from libs.kernel.ids import TenantId

RETRY_AFTER_SECONDS: Final = 2


@dataclass(eq=False)
class VaultUnavailable(DomainError):
    """The vault is sealed, gone or does not let us in: nothing can be wrapped or unwrapped for a while."""

    retry_after_seconds: int = RETRY_AFTER_SECONDS


@dataclass(eq=False)
class KekUnavailable(DomainError):
    """The vault works, but refuses this tenant's key: it was revoked, destroyed or never made."""

    tenant: TenantId


@dataclass(eq=False)
class SigningKeyRefused(DomainError):
    """The vault does not unseal this signing key: its row was altered."""

    kid: str


@dataclass(eq=False)
class InvalidScope(DomainError):
    """A data key was asked for what none can be made for; `reason` names the rule."""

    reason: str


@dataclass(eq=False)
class InvalidAccess(DomainError):
    """Keys were asked for without saying what for: that would leave a hole in the key-access log."""

    reason: str


@dataclass(eq=False)
class DeksUnknown(DomainError):
    """Keys were called emptied that the tenant never had: whoever says that is wrong about more."""

    tenant: TenantId
    count: int


@dataclass(eq=False)
class WipingPutOff(DomainError):
    """Somebody reads the keys for long; the bytes of shredded ones are wiped later."""


@dataclass(eq=False)
class KeysContended(DomainError):
    """Others kept making the same keys at the same moment; the caller asks again."""

    retry_after_seconds: int = 1


@dataclass(eq=False)
class BatchTooLarge(DomainError):
    """More keys were asked for at once than one answer may hold."""

    limit: int
