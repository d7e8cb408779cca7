"""Every key that ever signed, with its range: what a stranger needs to check evidence."""

from services.keys.domain.signing import SigningKey
from services.keys.ports.keystore import Keystore


class PublishTrust:
    """Needs no vault, and forgets no key: what was signed years ago can be checked today."""

    def __init__(self, keystore: Keystore) -> None:
        """Read from this keystore."""
        self._keystore = keystore

    async def __call__(self) -> list[SigningKey]:
        """Return all keys by use, oldest first."""
        async with self._keystore.begin_signing() as keys:
            return await keys.all()
