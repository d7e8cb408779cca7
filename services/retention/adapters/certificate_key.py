"""Certificates signed with a key leased from the keys service."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.contracts.internal import SigningKeyLease
from libs.host.leases import KeptLease
from libs.kernel.clock import Clock

_MARGIN: Final = timedelta(seconds=30)
"""A key that ends sooner signs nothing."""


class LeasedSigner:
    """Signs with one leased key."""

    def __init__(self, private: bytes) -> None:
        """Sign with the Ed25519 seed `private` (32 bytes)."""
        key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = key.public_key().public_bytes_raw()
        self.sign = key.sign


class LeasedCertificateKey:
    """Gives signers of the key that signs certificates at present."""

    def __init__(self, lease: Callable[[], Awaitable[SigningKeyLease]], clock: Clock) -> None:
        """Ask `lease` for the key; a DomainError of it means that there is none for now."""
        self._lease = KeptLease(lease, clock, _MARGIN)

    async def find_signer(self) -> LeasedSigner | None:
        """Return a signer, None while there is no key."""
        lease = await self._lease.find()
        return None if lease is None else LeasedSigner(lease.private)
