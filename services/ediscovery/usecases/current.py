"""The index that counts, of each tenant: by what is noted of it, and whole, or there is no answer."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from libs.kernel.ids import TenantId
from services.ediscovery.domain.documents import DocumentKey, Hit, Standing
from services.ediscovery.domain.errors import ExpungeUnfinished, IndexRebuilding
from services.ediscovery.domain.query import Query, Scope
from services.ediscovery.domain.wholeness import Noted, is_whole
from services.ediscovery.ports.index import SearchIndex
from services.ediscovery.ports.rebuilds import Notes

Generations = Callable[[int], SearchIndex]
"""Returns the index of a generation: each is a place of its own, and a tenant uses one of them."""


@dataclass(frozen=True, slots=True)
class CurrentIndex:
    """Answers from a whole index alone: fewer hits would be taken for all there are."""

    generations: Generations
    notes: Notes

    async def search(
        self, tenant: TenantId, query: Query, scope: Scope, limit: int, after: Standing | None = None
    ) -> Sequence[Hit]:
        """Return the first hits after a standing; see `SearchIndex`. Raises IndexRebuilding."""
        noted = await self.whole(tenant)
        while True:
            hits = await self.generations(noted.generation).search(tenant, query, scope, limit, after)
            # it may have been lost, or been replaced and dropped, while it was searched
            before, noted = noted, await self.whole(tenant)
            if noted.generation == before.generation:
                return hits

    async def expunge(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        """Remove these from the files; see `SearchIndex`. Raises ExpungeUnfinished or IndexRebuilding."""
        await (await self._settled(tenant)).expunge(tenant, keys)

    async def remove(self, tenant: TenantId, keys: Collection[DocumentKey]) -> Sequence[str]:
        """Let these be found no more; see `SearchIndex`. Raises ExpungeUnfinished or IndexRebuilding."""
        return await (await self._settled(tenant)).remove(tenant, keys)

    async def purge(self, tenant: TenantId, part: str) -> None:
        """Let words of a part vanish; see `SearchIndex`. Raises ExpungeUnfinished or IndexRebuilding."""
        await (await self._settled(tenant)).purge(tenant, part)

    async def _settled(self, tenant: TenantId) -> SearchIndex:
        """Return the index of a tenant who has one alone.

        While it is made anew nothing vanishes: the new one may have read what was destroyed before.
        """
        noted = await self.whole(tenant)
        if noted.renewed:
            raise ExpungeUnfinished(tenant, "the index is being made anew")
        if noted.leftover is not None:
            raise ExpungeUnfinished(tenant, "files of an index that was replaced are still there")
        return self.generations(noted.generation)

    async def whole(self, tenant: TenantId) -> Noted:
        """Return what is noted of an index from which nothing is missing. Raises IndexRebuilding."""
        noted = await self.notes.noted(tenant)
        while not is_whole(noted, await self.generations(noted.generation).reached(tenant)):
            before, noted = noted, await self.notes.noted(tenant)
            if noted.generation == before.generation:
                raise IndexRebuilding(tenant)
        return noted
