"""Make an index anew from the log, beside the old one, and let it take its place when nothing is missing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from libs.kernel.clock import Clock
from libs.kernel.errors import DomainError
from libs.kernel.ids import Ids, TenantId
from services.ediscovery.domain.documents import Cursor, Document, DocumentKey, period_of
from services.ediscovery.domain.texts import INDEXING
from services.ediscovery.domain.wholeness import is_whole
from services.ediscovery.ports.correspondence import Backlog, Correspondence
from services.ediscovery.ports.index import SearchIndex
from services.ediscovery.ports.rebuilds import LogPages, LossSigns, Notes, Rebuild, Rebuilds, Swap
from services.ediscovery.usecases.current import Generations
from services.ediscovery.usecases.told import fact_of_rebuild, fact_of_rebuilt

PROGRESS: Final = "rebuild"
"""The stream whose cursor in the new index says how many entries of the log it has gone through."""
MOST_AT_A_TIME: Final = 4000
"""Entries that are in memory together."""
FEW: Final = 100
"""Messages told of meanwhile that are left for the swap, during which nothing is indexed."""


@dataclass(frozen=True, slots=True)
class OrderRebuilds:
    """Begins what an operator asks for."""

    rebuilds: Rebuilds
    clock: Clock
    ids: Ids

    async def __call__(self, tenants: Collection[TenantId]) -> list[Rebuild]:
        """Begin a rebuild of each, or leave the one that is under way; return the newest of each."""
        for tenant in tenants:
            act, now = self.ids.uuid7(), self.clock.now()
            told = [fact_of_rebuild(act, now, lost=False)]
            await self.rebuilds.begin(tenant, act, now, told, lost=False)
        return await self.progress(tenants)

    async def progress(self, tenants: Collection[TenantId]) -> list[Rebuild]:
        """Return the newest rebuild of each of these tenants that ever had one."""
        return [each for each in await self.rebuilds.newest() if each.tenant in tenants]


@dataclass(frozen=True, slots=True)
class NoticeLostIndexes:
    """Compares every index with what is noted of it, and begins to make anew what lacks something."""

    generations: Generations
    rebuilds: Rebuilds
    notes: Notes
    signs: LossSigns
    clock: Clock
    ids: Ids

    async def __call__(self) -> None:
        """Look at all. Raises IndexUnavailable when the engine does not answer: then nothing is known."""
        under_way = {each.tenant for each in await self.rebuilds.under_way()}
        for tenant in await self.rebuilds.tenants():
            if tenant in under_way:
                continue
            noted = await self.notes.noted(tenant)
            if is_whole(noted, await self.generations(noted.generation).reached(tenant)):
                continue
            act, now = self.ids.uuid7(), self.clock.now()
            told = [fact_of_rebuild(act, now, lost=True)]
            if await self.rebuilds.begin(tenant, act, now, told, lost=True):
                self.signs.is_lost(tenant)


@dataclass(frozen=True, slots=True)
class BacklogWithRebuilds:
    """What cannot be found yet: behind the cursors, and of indexes that were lost since they were."""

    backlog: Backlog
    rebuilds: Rebuilds

    async def oldest(self) -> datetime | None:
        """Return since when. Raises CorrespondenceUnavailable."""
        since = [each.begun_at for each in await self.rebuilds.under_way() if each.lost]
        behind = await self.backlog.oldest()
        return min(since if behind is None else [*since, behind], default=None)


@dataclass(frozen=True, slots=True)
class RebuildIndexes:
    """Goes through the log page by page; what was cut off goes on where it was.

    What was replaced is taken away in the places of `former` engines, too: an operator who takes another
    engine has every index lost, and so made anew, and no word stays behind where it was.
    """

    generations: Generations
    rebuilds: Rebuilds
    pages: LogPages
    correspondence: Correspondence
    clock: Clock
    ids: Ids
    former: Sequence[Generations] = ()

    async def __call__(self) -> None:
        """Do what is under way. Raises the last of the errors that kept something from being done."""
        trouble: DomainError | None = None
        for tenant, generation in await self.rebuilds.leftovers():
            await self._drop(tenant, generation)
            await self.rebuilds.forget_leftover(tenant)
        for rebuild in await self.rebuilds.under_way():
            try:
                going_on: Rebuild | None = rebuild
                while going_on is not None:
                    going_on = await self.step(going_on)
            except DomainError as error:
                trouble = error
        if trouble is not None:
            raise trouble

    async def step(self, rebuild: Rebuild) -> Rebuild | None:
        """Do one step, and return how far it has come; None when it has ended."""
        tenant, index = rebuild.tenant, self.generations(rebuild.generation)
        reached = await index.reached(tenant)
        if reached.cursors.get(PROGRESS, 0) != rebuild.done or not rebuild.periods <= reached.periods:
            # cut off between the index and its note, or lost in turn: what it lacks cannot be told
            await self._drop(tenant, rebuild.generation)
            return await self._advanced(
                rebuild._replace(done=0, conversation=None, seq=0, periods=frozenset())
            )
        page = await self.pages.page(tenant, rebuild.conversation, rebuild.seq, MOST_AT_A_TIME)
        if page.keys:
            documents = await self._documents(tenant, page.keys)
            last, done = page.keys[-1], rebuild.done + len(page.keys)
            await index.fill(tenant, documents, Cursor(PROGRESS, done))
            return await self._advanced(
                rebuild._replace(
                    entries=page.entries,
                    done=done,
                    conversation=last.conversation,
                    seq=last.seq,
                    periods=rebuild.periods | {str(period_of(each.sent_at)) for each in documents},
                )
            )
        touched = await self.rebuilds.touched(tenant, MOST_AT_A_TIME)
        if len(touched) > FEW:
            await self._again(index, rebuild, [each.key for each in touched])
            await self.rebuilds.untouch(tenant, touched)
            return rebuild
        async with self.rebuilds.swap(rebuild) as swap:
            await self._swap(index, rebuild, swap)
        return None

    async def _swap(self, index: SearchIndex, rebuild: Rebuild, swap: Swap) -> None:
        """Let the new index count, with all that was told of meanwhile; if something lacks, begin anew."""
        noted = (await swap.noted())._replace(periods=rebuild.periods)
        touched = await swap.touched()

        async def catch_up() -> None:
            await self._again(index, rebuild, touched)
            for stream, position in noted.positions.items():
                await index.apply(rebuild.tenant, (), Cursor(stream, position))

        await swap.alive_during(catch_up())
        reached = await index.reached(rebuild.tenant)
        if is_whole(noted, reached):
            act, now = self.ids.uuid7(), self.clock.now()
            await swap.end(act, reached.periods, now)
            await swap.publish([fact_of_rebuilt(act, rebuild.act, now)])

    async def _drop(self, tenant: TenantId, generation: int) -> None:
        for place in (self.generations, *self.former):
            await place(generation).drop(tenant)

    async def _again(self, index: SearchIndex, rebuild: Rebuild, keys: Sequence[DocumentKey]) -> None:
        """Have in the index what the log has of these messages now, and no word of what it has no more."""
        for start in range(0, len(keys), MOST_AT_A_TIME):
            some = set(keys[start : start + MOST_AT_A_TIME])
            documents = await self._documents(rebuild.tenant, some)
            await index.fill(rebuild.tenant, documents, Cursor(PROGRESS, rebuild.done))
            if gone := some - {each.key for each in documents}:
                await index.expunge(rebuild.tenant, gone)

    async def _documents(self, tenant: TenantId, keys: Collection[DocumentKey]) -> list[Document]:
        return [text.document for text in await self.correspondence.texts(tenant, keys, INDEXING)]

    async def _advanced(self, rebuild: Rebuild) -> Rebuild:
        await self.rebuilds.advance(rebuild)
        return rebuild
