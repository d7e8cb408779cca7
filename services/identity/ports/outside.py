"""What the use cases ask of the world outside PostgreSQL."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed access token and the whole seconds that it is good for."""

    text: str
    expires_in: int


class Signer(Protocol):
    """Signs access tokens with the key of the hour."""

    def sign(
        self,
        *,
        tenant: TenantId,
        principal: PrincipalId,
        session: SessionId,
        device: DeviceId,
        roles: Iterable[str],
    ) -> AccessToken:
        """Return a token for one session."""
        ...


class Signing(Protocol):
    """Has a signer ready."""

    async def get_signer(self) -> Signer:
        """Return a signer that outlives this request. Raises SigningUnavailable."""
        ...


class Passwords(Protocol):
    """Hashes passwords slowly, away from the event loop."""

    async def hash(self, password: str) -> str:
        """Return a hash that keeps its own parameters and salt. Raises SignInThrottled when overloaded."""
        ...

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Return whether the password is the hashed one; for None, False after the same time.

        Raises SignInThrottled when overloaded.
        """
        ...


class Announcer(Protocol):
    """Tells every service what was revoked."""

    async def announce(self) -> None:
        """Say at once what was committed; never raises, for whoever misses it will ask."""
        ...
