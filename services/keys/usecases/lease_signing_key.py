"""Lease the key of one use, and make its successor in time."""

from datetime import datetime

from libs.kernel.clock import Clock
from services.keys.domain.errors import KeysContended
from services.keys.domain.signing import (
    ClearSigningKey,
    Initiator,
    SigningKey,
    Use,
    lease_of,
    needs_successor,
)
from services.keys.ports.keystore import Keystore
from services.keys.usecases.sealing import SealedSigningKeys


class LeaseSigningKey:
    """Every holder of a lease signs with the same key, until its successor is made."""

    def __init__(self, keystore: Keystore, sealed: SealedSigningKeys, clock: Clock) -> None:
        """Work on these ports."""
        self._keystore = keystore
        self._sealed = sealed
        self._clock = clock

    async def __call__(self, use: Use, service: str) -> ClearSigningKey:
        """Return the newest key of `use` in clear, leased to `service`; the lease never outlasts the key.

        The lease is told of before it is given. Raises VaultUnavailable and SigningKeyRefused.
        """
        now = self._clock.now()
        async with self._keystore.begin_signing() as keys:
            newest = await keys.find_newest(use)
        if newest is None or needs_successor(newest, now):
            newest = await self._succeed(use, newest, now)
        lease = lease_of(newest, service, now)
        private = await self._sealed.unsealed(newest)
        async with self._keystore.begin_signing() as keys:
            await keys.record_lease(lease)
        return ClearSigningKey(lease.kid, private, lease.not_after, lease.renew_at)

    async def _succeed(self, use: Use, newest: SigningKey | None, now: datetime) -> SigningKey:
        """Return the successor: ours, or the one that another made at the same moment."""
        successor = await self._sealed.make(use, newest, now)
        async with self._keystore.begin_signing() as keys:
            if await keys.add(successor, Initiator.KEYS):
                return successor
            other = await keys.find_newest(use)
        if other is None:
            raise KeysContended
        return other
