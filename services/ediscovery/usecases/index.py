"""Keep the index at what was committed: each message is found once, however often it is told of."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from libs.kernel.clock import Clock
from libs.kernel.ids import TenantId
from services.ediscovery.domain.documents import Change, Cursor, DocumentKey, Put, Removal, period_of
from services.ediscovery.domain.texts import INDEXING
from services.ediscovery.domain.wholeness import Noted, is_whole
from services.ediscovery.ports.correspondence import Correspondence
from services.ediscovery.ports.expunges import Destruction
from services.ediscovery.ports.rebuilds import NotesUnderWay
from services.ediscovery.usecases.current import Generations

TENANTS_AT_A_TIME: Final = 8


class Committed(NamedTuple):
    """Messages that one event, at `position` of `stream`, tells of: that came to be, or that are `gone`.

    Those are gone `by` an order.
    """

    tenant: TenantId
    stream: str
    position: int
    keys: tuple[DocumentKey, ...]
    gone: tuple[DocumentKey, ...] = ()
    by: Destruction | None = None


@dataclass(frozen=True, slots=True)
class IndexMessages:
    """Reads bodies by reference, and lets go of them when their words are in the index."""

    generations: Generations
    correspondence: Correspondence
    clock: Clock

    async def __call__(self, committed: Sequence[Committed], notes: NotesUnderWay) -> None:
        """Index what these events tell of, each stream's in order; events that were indexed change nothing.

        What is told while an index is lost, or made anew, is noted for the new one too.

        Raises CorrespondenceUnavailable, KeyRefused or IndexUnavailable; then the same may be asked again.
        """
        tenants: dict[TenantId, list[Committed]] = defaultdict(list)
        for each in committed:
            tenants[each.tenant].append(each)
        noted = await notes.locked(tenants)
        waiting = list(tenants.items())
        for start in range(0, len(waiting), TENANTS_AT_A_TIME):
            some = waiting[start : start + TENANTS_AT_A_TIME]
            done = await asyncio.gather(
                *(self._index(tenant, events, noted[tenant]) for tenant, events in some)
            )
            for (tenant, events), periods in zip(some, done, strict=True):
                if periods is None:
                    await notes.lose(tenant, self.clock.now())
                if periods is None or noted[tenant].renewed:
                    await notes.touch(tenant, [key for event in events for key in (*event.keys, *event.gone)])
                await notes.follow(tenant, _reached_by(events), periods or ())

    async def _index(
        self, tenant: TenantId, events: Sequence[Committed], noted: Noted
    ) -> frozenset[str] | None:
        """Index one tenant's and return of which months there is something new; None: the index is lost."""
        index = self.generations(noted.generation)
        reached = await index.reached(tenant)
        if not is_whole(noted, reached):
            return None
        streams: dict[str, list[Committed]] = defaultdict(list)
        for event in events:
            if event.position > reached.cursors.get(event.stream, 0):
                streams[event.stream].append(event)
        keys = {key for fresh in streams.values() for event in fresh for key in event.keys}
        texts = {text.key: text for text in await self.correspondence.texts(tenant, keys, INDEXING)}

        async def apply(stream: str, fresh: Sequence[Committed]) -> None:
            changes: list[Change] = []
            for event in fresh:
                changes += (Put(event.position, texts[key].document) for key in event.keys if key in texts)
                changes += (Removal(event.position, key) for key in event.gone)
            await index.apply(tenant, changes, Cursor(stream, fresh[-1].position))

        await asyncio.gather(*(apply(stream, fresh) for stream, fresh in streams.items()))
        return frozenset(str(period_of(text.sent_at)) for text in texts.values())


def _reached_by(events: Sequence[Committed]) -> dict[str, int]:
    """Return the last position of each stream."""
    reached: dict[str, int] = {}
    for event in events:
        reached[event.stream] = max(event.position, reached.get(event.stream, 0))
    return reached
