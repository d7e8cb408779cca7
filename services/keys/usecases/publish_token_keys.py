"""The public keys of access tokens, for everyone who checks one."""

from libs.kernel.clock import Clock
from services.keys.domain.signing import Use
from services.keys.ports.keystore import Keystore


class PublishTokenKeys:
    """Needs no vault: tokens can be checked while it is sealed."""

    def __init__(self, keystore: Keystore, clock: Clock) -> None:
        """Work on these ports."""
        self._keystore = keystore
        self._clock = clock

    async def __call__(self) -> dict[str, bytes]:
        """Return the raw public keys (32 bytes) by kid: of every key whose tokens may still be good."""
        async with self._keystore.begin_signing() as keys:
            published = await keys.published(Use.TOKENS, self._clock.now())
        return {key.kid: key.public for key in published}
