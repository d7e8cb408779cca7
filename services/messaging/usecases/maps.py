"""Commit to all conversations of a tenant at an interval, and give any committed map again.

So whoever makes a production shows that no conversation and no entry is left out of it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.evidence.completeness import SALT_BYTES
from libs.kernel.clock import Clock
from libs.kernel.ids import TenantId
from libs.kernel.randomness import Randomness
from services.messaging.domain.errors import MapNotFound
from services.messaging.domain.maps import CommittedMap, Mapped, MappedConversation, Moved, mapped, root_over
from services.messaging.ports import Maps


@dataclass(frozen=True, slots=True)
class CommitMaps:
    """Commits a new map of each tenant of which something moved."""

    maps: Maps
    clock: Clock
    randomness: Randomness

    async def __call__(self) -> None:
        """Commit every map that is due. Raises LogUnavailable, or the first failure, after all others."""
        failures: list[Exception] = []
        for tenant in await self.maps.moved():
            try:
                await self.commit(tenant)
            except Exception as error:  # noqa: BLE001 - raised again below
                failures.append(error)
        for failure in failures[:1]:
            raise failure

    async def commit(self, tenant: TenantId) -> None:
        """Commit a map of a tenant, unless everything stands as in the last one. Raises LogUnavailable.

        Its time is that before anything was read: it has all that was committed until then.
        """
        async with self.maps.begin(tenant) as under_way:
            at = self.clock.now()
            moved = await under_way.moved()
            if not moved:
                return
            # Hashes of a hundred thousand conversations take a second, in which the relay has other work.
            heads = await asyncio.to_thread(self._mapped, moved)
            conversations, hashes = await under_way.keep(heads)
            root = await asyncio.to_thread(root_over, hashes)
            await under_way.commit(at, root, conversations)

    def _mapped(self, moved: Sequence[Moved]) -> list[Mapped]:
        return [mapped(each, self.randomness.bytes(SALT_BYTES)) for each in moved]


@dataclass(frozen=True, slots=True)
class ReadMaps:
    """Gives committed maps again."""

    maps: Maps

    async def newest(self, tenant: TenantId) -> CommittedMap:
        """Return the newest map of a tenant. Raises MapNotFound or LogUnavailable."""
        return await self._get(tenant, None)

    async def heads(
        self, tenant: TenantId, act: UUID, after: UUID | None, limit: int
    ) -> list[MappedConversation]:
        """Return conversations of the map that `act` committed. Raises MapNotFound or LogUnavailable."""
        found = await self._get(tenant, act)
        return await self.maps.heads(tenant, found.number, after, limit)

    async def _get(self, tenant: TenantId, act: UUID | None) -> CommittedMap:
        found = await self.maps.find(tenant, act)
        if found is None:
            raise MapNotFound
        return found
