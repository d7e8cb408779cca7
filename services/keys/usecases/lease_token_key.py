"""Lease the key that signs access tokens, and make its successor in time."""

from collections.abc import Callable
from datetime import datetime, timedelta

from libs.kernel.clock import Clock
from libs.kernel.randomness import Randomness
from services.keys.domain.errors import KeysContended, SigningKeyRefused
from services.keys.domain.signing import (
    SEALING_KEY,
    SEED_SIZE,
    TOKENS,
    ClearSigningKey,
    SigningKey,
    binding_of,
    context_of,
    kid_of,
    needs_successor,
    ordinal_after,
)
from services.keys.ports.keystore import Keystore
from services.keys.ports.vault import Clear, KekRefused, Vault, Wrapped


class LeaseTokenKey:
    """Every holder of a lease signs with the same key, until its successor is made."""

    def __init__(
        self,
        keystore: Keystore,
        vault: Vault,
        clock: Clock,
        randomness: Randomness,
        public_key_of: Callable[[bytes], bytes],
        lifetime: timedelta,
    ) -> None:
        """Let a key sign for `lifetime`; `public_key_of` maps an Ed25519 seed to its public key."""
        self._keystore = keystore
        self._vault = vault
        self._clock = clock
        self._randomness = randomness
        self._public_key_of = public_key_of
        self._lifetime = lifetime

    async def __call__(self, service: str) -> ClearSigningKey:
        """Return the newest key in clear; it signs for at least a day more.

        The lease is published with the name of `service`. Raises VaultUnavailable and SigningKeyRefused.
        """
        now = self._clock.now()
        async with self._keystore.begin_signing() as keys:
            newest = await keys.find_newest(TOKENS)
        if newest is None or needs_successor(newest, now):
            newest = await self._succeed(newest, now)
        lease = ClearSigningKey(newest.kid, await self._unsealed(newest), newest.not_after)
        async with self._keystore.begin_signing() as keys:
            await keys.record_lease(newest.kid, service)
        return lease

    async def _succeed(self, newest: SigningKey | None, now: datetime) -> SigningKey:
        """Return the successor: ours, or the one that another made at the same moment."""
        successor = await self._make(ordinal_after(newest), now)
        async with self._keystore.begin_signing() as keys:
            if await keys.add(successor):
                return successor
            other = await keys.find_newest(TOKENS)
        if other is None:
            raise KeysContended
        return other

    async def _make(self, ordinal: int, now: datetime) -> SigningKey:
        seed = self._randomness.bytes(SEED_SIZE)
        public = self._public_key_of(seed)
        kid = kid_of(public)
        try:
            await self._vault.create_kek(SEALING_KEY)
            (sealed,) = await self._vault.wrap(
                SEALING_KEY, [Clear(seed, context_of(TOKENS), binding_of(kid, TOKENS))]
            )
        except KekRefused:
            raise SigningKeyRefused(kid) from None
        return SigningKey(kid, TOKENS, ordinal, public, sealed, now, now + self._lifetime)

    async def _unsealed(self, key: SigningKey) -> bytes:
        wrapped = Wrapped(key.sealed, context_of(key.use), binding_of(key.kid, key.use))
        try:
            (seed,) = await self._vault.unwrap(SEALING_KEY, [wrapped])
        except KekRefused:
            raise SigningKeyRefused(key.kid) from None
        if seed is None:
            raise SigningKeyRefused(key.kid)
        return seed
