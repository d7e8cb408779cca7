"""Passwords hashed by Argon2id, in threads, a few at a time.

Source: RFC 9106; OWASP Password Storage Cheat Sheet for the parameters.
"""

from typing import Final

import anyio
from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError

from services.identity.domain.errors import SignInThrottled

_SIDE_BY_SIDE: Final = 2
_MOST_WAITING: Final = 32
_NO_ONES_PASSWORD: Final = "no one has this password"  # noqa: S105 - it opens nothing


class Argon2Passwords:
    """Argon2id with 19 MiB, two passes, one lane: some 20 ms a hash."""

    def __init__(self, *, memory_kib: int = 19_456, passes: int = 2) -> None:
        """Hash with these parameters; what was hashed with others is verified with its own."""
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1, type=Type.ID)
        self._limiter: CapacityLimiter | None = None
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """Return a hash that keeps its own parameters and salt. Raises SignInThrottled when overloaded."""
        return await to_thread.run_sync(self._hasher.hash, password, limiter=self._free_limiter())

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Return whether the password is the hashed one; for None, False after the same time.

        Raises SignInThrottled when overloaded.
        """
        if self._decoy is None:
            self._decoy = await self.hash(_NO_ONES_PASSWORD)
        compared = self._decoy if hashed is None else hashed
        right = await to_thread.run_sync(self._is_right, compared, password, limiter=self._free_limiter())
        return right and hashed is not None

    def _is_right(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False

    def _free_limiter(self) -> CapacityLimiter:
        """Return the limiter, unless too many wait for it: a queue of slow hashes is an easy attack."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_SIDE_BY_SIDE)
        if self._limiter.statistics().tasks_waiting >= _MOST_WAITING:
            raise SignInThrottled(1)
        return self._limiter
