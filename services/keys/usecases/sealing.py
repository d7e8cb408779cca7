"""Making, sealing and unsealing signing keys: what the use cases share."""

from collections.abc import Callable
from datetime import datetime, timedelta

from libs.kernel.randomness import Randomness
from services.keys.domain.errors import SigningKeyRefused
from services.keys.domain.signing import (
    SEALING_KEY,
    SEED_SIZE,
    SigningKey,
    Use,
    binding_of,
    context_of,
    kid_of,
    ordinal_after,
)
from services.keys.ports.vault import Clear, KekRefused, Vault, Wrapped


class SealedSigningKeys:
    """Makes signing keys that only the vault can open; what it makes is stored nowhere yet."""

    def __init__(
        self,
        vault: Vault,
        randomness: Randomness,
        public_key_of: Callable[[bytes], bytes],
        lifetime: timedelta,
    ) -> None:
        """Let a key sign for `lifetime`; `public_key_of` maps an Ed25519 seed to its public key."""
        self._vault = vault
        self._randomness = randomness
        self._public_key_of = public_key_of
        self._lifetime = lifetime

    async def make(self, use: Use, newest: SigningKey | None, now: datetime) -> SigningKey:
        """Return a key that succeeds `newest` and signs from `now` on.

        Raises VaultUnavailable and SigningKeyRefused.
        """
        seed = self._randomness.bytes(SEED_SIZE)
        public = self._public_key_of(seed)
        kid = kid_of(public)
        try:
            await self._vault.create_kek(SEALING_KEY)
            (sealed,) = await self._vault.wrap(
                SEALING_KEY, [Clear(seed, context_of(use), binding_of(kid, use))]
            )
        except KekRefused:
            raise SigningKeyRefused(kid) from None
        return SigningKey(kid, use, ordinal_after(newest), public, sealed, now, now + self._lifetime)

    async def unsealed(self, key: SigningKey) -> bytes:
        """Return the seed of a key (32 bytes). Raises VaultUnavailable and SigningKeyRefused."""
        wrapped = Wrapped(key.sealed, context_of(key.use), binding_of(key.kid, key.use))
        try:
            (seed,) = await self._vault.unwrap(SEALING_KEY, [wrapped])
        except KekRefused:
            raise SigningKeyRefused(key.kid) from None
        if seed is None:
            raise SigningKeyRefused(key.kid)
        return seed
