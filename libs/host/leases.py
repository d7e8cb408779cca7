"""A signing key that the keys service lends: asked for again in time, and known to memory alone."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.contracts.internal import SigningKeyLease
from libs.kernel.clock import Clock
from libs.kernel.errors import DomainError

_RENEW: Final = timedelta(hours=1)
"""When a lease that does not say so is asked for again."""
_RETRY: Final = timedelta(seconds=5)
_MARGIN: Final = timedelta(seconds=30)
"""A key that ends sooner signs nothing: a round of signing must end before it does."""


class KeptLease:
    """Keeps one lease current; while no new one is to be had, the one at hand serves until its end."""

    def __init__(
        self, lease: Callable[[], Awaitable[SigningKeyLease]], clock: Clock, margin: timedelta
    ) -> None:
        """Ask `lease` for the key; a DomainError of it means that there is none for now.

        A lease that ends within `margin` is not used any more.
        """
        self._lease = lease
        self._clock = clock
        self._margin = margin
        self._held: SigningKeyLease | None = None
        self._renew_at: datetime | None = None
        self._turn = asyncio.Lock()

    async def find(self) -> SigningKeyLease | None:
        """Return the lease to sign with now, None when there is none."""
        if self._is_renewal_due():
            async with self._turn:
                if self._is_renewal_due():
                    await self._renew()
        return self._held if self._lasts() else None

    def _lasts(self) -> bool:
        return self._held is not None and self._held.not_after - self._clock.now() >= self._margin

    def _is_renewal_due(self) -> bool:
        return not self._lasts() or self._renew_at is None or self._clock.now() >= self._renew_at

    async def _renew(self) -> None:
        """Take up the key of the hour."""
        try:
            self._held = await self._lease()
        except DomainError:
            self._renew_at = self._clock.now() + _RETRY
        else:
            self._renew_at = self._held.renew_at or self._clock.now() + _RENEW


class LeasedSigner:
    """Signs with one leased key."""

    def __init__(self, private: bytes) -> None:
        """Sign with the Ed25519 seed `private` (32 bytes)."""
        key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = key.public_key().public_bytes_raw()
        self.sign = key.sign


class LeasedKey:
    """Gives signers of the key that a service is lent at present."""

    def __init__(self, lease: Callable[[], Awaitable[SigningKeyLease]], clock: Clock) -> None:
        """Ask `lease` for the key; a DomainError of it means that there is none for now."""
        self._lease = KeptLease(lease, clock, _MARGIN)
        self._signer: tuple[str, LeasedSigner] | None = None

    async def find_signer(self) -> LeasedSigner | None:
        """Return a signer for this round, None while there is no key."""
        lease = await self._lease.find()
        if lease is None:
            return None
        if self._signer is None or self._signer[0] != lease.kid:
            self._signer = (lease.kid, LeasedSigner(lease.private))
        return self._signer[1]
