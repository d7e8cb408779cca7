"""Access tokens signed with a key leased from the keys service."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Final

from libs.authn.tokens import MAXIMUM_LIFETIME, TokenSigner
from libs.contracts.internal import SigningKeyLease
from libs.kernel.clock import Clock
from libs.kernel.errors import DomainError
from libs.kernel.ids import DeviceId, Ids, PrincipalId, SessionId, TenantId
from services.identity.domain.errors import SigningUnavailable
from services.identity.ports.outside import AccessToken

_RENEW_SECONDS: Final = 3600.0
"""How often a good lease is asked for again, so that a new key is taken up in time."""
_RETRY_SECONDS: Final = 5.0
_MARGIN: Final = timedelta(minutes=1) + MAXIMUM_LIFETIME
"""A key that ends sooner signs nothing: a token must not outlive the key that verifies it."""


class LeasedSigner:
    """Signs with one leased key."""

    def __init__(self, signer: TokenSigner, clock: Clock) -> None:
        """Sign by `signer`."""
        self._signer = signer
        self._clock = clock

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
        signed = self._signer.sign(
            tenant=tenant, principal=principal, session=session, device=device, roles=roles
        )
        return AccessToken(signed.token, signed.expires_in(self._clock.now()))


class LeasedSigning:
    """Keeps a lease of the key that signs access tokens; the seed lives in memory alone."""

    def __init__(self, lease: Callable[[], Awaitable[SigningKeyLease]], clock: Clock, ids: Ids) -> None:
        """Ask `lease` for the key; a DomainError of it means that there is none for now."""
        self._lease = lease
        self._clock = clock
        self._ids = ids
        self._signer: LeasedSigner | None = None
        self._ends_at = clock.now()
        self._renew_at = 0.0
        self._turn = asyncio.Lock()

    async def get_signer(self) -> LeasedSigner:
        """Return a signer that outlives this request. Raises SigningUnavailable."""
        if self._is_renewal_due():
            async with self._turn:
                if self._is_renewal_due():
                    await self._renew()
        if self._signer is None or self._ends_at - self._clock.now() < _MARGIN:
            raise SigningUnavailable
        return self._signer

    def _is_renewal_due(self) -> bool:
        ending = self._ends_at - self._clock.now() < _MARGIN
        return self._signer is None or ending or self._clock.monotonic() >= self._renew_at

    async def _renew(self) -> None:
        """Take up the key of the hour; while there is none, the one at hand serves until its end."""
        try:
            lease = await self._lease()
        except DomainError:
            self._renew_at = self._clock.monotonic() + _RETRY_SECONDS
            return
        self._signer = LeasedSigner(
            TokenSigner(lease.kid, lease.private, self._clock, self._ids), self._clock
        )
        self._ends_at = lease.not_after
        self._renew_at = self._clock.monotonic() + _RENEW_SECONDS
