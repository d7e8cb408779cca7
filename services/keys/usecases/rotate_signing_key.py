"""Put another key in the place of one that signs, before its time."""

from typing import NamedTuple

from libs.kernel.clock import Clock
from services.keys.domain.errors import KeysContended
from services.keys.domain.signing import Initiator, SigningKey, Use, end_of_retired, retired
from services.keys.ports.keystore import Keystore
from services.keys.usecases.sealing import SealedSigningKeys


class Rotated(NamedTuple):
    """The key that signs from now on, and those that end before their time, with their new ends."""

    successor: SigningKey
    retired: list[SigningKey]


class RotateSigningKey:
    """The next lease gives the successor; the old key ends when the last lease of it is over."""

    def __init__(self, keystore: Keystore, sealed: SealedSigningKeys, clock: Clock) -> None:
        """Work on these ports."""
        self._keystore = keystore
        self._sealed = sealed
        self._clock = clock

    async def __call__(self, use: Use) -> Rotated:
        """Make the successor of the newest key of `use`, the first key where there is none.

        Raises VaultUnavailable and SigningKeyRefused, and KeysContended when another made a successor at
        the same moment: nothing was done then.
        """
        async with self._keystore.begin_signing() as keys:
            newest = await keys.find_newest(use)
        now = self._clock.now()
        successor = await self._sealed.make(use, newest, now)
        async with self._keystore.begin_signing() as keys:
            if not await keys.add(successor, Initiator.OPERATOR):
                raise KeysContended
            # The clock is read again: no lease of the old key began after this.
            end = end_of_retired(use, self._clock.now())
            ending = [key for key in await keys.ending_after(use, end) if key.kid != successor.kid]
            for key in ending:
                await keys.retire(key, successor, end, Initiator.OPERATOR)
        return Rotated(successor, [retired(key, end) for key in ending])
