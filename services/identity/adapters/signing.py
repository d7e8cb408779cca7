"""Access tokens signed with a key leased from the keys service."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Final

from libs.authn.tokens import MAXIMUM_LIFETIME, TokenSigner
from libs.contracts.internal import SigningKeyLease
from libs.host.leases import KeptLease
from libs.kernel.clock import Clock
from libs.kernel.ids import DeviceId, Ids, PrincipalId, SessionId, TenantId
from services.identity.domain.errors import SigningUnavailable
from services.identity.ports.outside import AccessToken

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
    """Gives signers of the key that signs access tokens at present."""

    def __init__(self, lease: Callable[[], Awaitable[SigningKeyLease]], clock: Clock, ids: Ids) -> None:
        """Ask `lease` for the key; a DomainError of it means that there is none for now."""
        self._lease = KeptLease(lease, clock, _MARGIN)
        self._clock = clock
        self._ids = ids
        self._signer: tuple[str, LeasedSigner] | None = None

    async def get_signer(self) -> LeasedSigner:
        """Return a signer that outlives this request. Raises SigningUnavailable."""
        lease = await self._lease.find()
        if lease is None:
            raise SigningUnavailable
        if self._signer is None or self._signer[0] != lease.kid:
            signer = TokenSigner(lease.kid, lease.private, self._clock, self._ids)
            self._signer = (lease.kid, LeasedSigner(signer, self._clock))
        return self._signer[1]
