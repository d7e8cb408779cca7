"""Keep the index at what was committed: each message is found once, however often it is told of."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from libs.kernel.ids import TenantId
from services.ediscovery.domain.documents import Change, Cursor, DocumentKey, Put, Removal
from services.ediscovery.domain.texts import INDEXING
from services.ediscovery.ports.correspondence import Correspondence
from services.ediscovery.ports.expunges import Destruction
from services.ediscovery.ports.index import SearchIndex

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

    index: SearchIndex
    correspondence: Correspondence

    async def __call__(self, committed: Sequence[Committed]) -> None:
        """Index what these events tell of, each stream's in order; events that were indexed change nothing.

        Raises CorrespondenceUnavailable, KeyRefused or IndexUnavailable; then the same may be asked again.
        """
        tenants: dict[TenantId, list[Committed]] = defaultdict(list)
        for each in committed:
            tenants[each.tenant].append(each)
        waiting = list(tenants.items())
        for start in range(0, len(waiting), TENANTS_AT_A_TIME):
            some = waiting[start : start + TENANTS_AT_A_TIME]
            await asyncio.gather(*(self._index(tenant, events) for tenant, events in some))

    async def _index(self, tenant: TenantId, events: Sequence[Committed]) -> None:
        streams: dict[str, list[Committed]] = defaultdict(list)
        known: dict[str, int] = {}
        for event in events:
            if event.stream not in known:
                known[event.stream] = await self.index.cursor(tenant, event.stream)
            if event.position > known[event.stream]:
                streams[event.stream].append(event)
        keys = {key for fresh in streams.values() for event in fresh for key in event.keys}
        texts = {text.key: text for text in await self.correspondence.texts(tenant, keys, INDEXING)}

        async def apply(stream: str, fresh: Sequence[Committed]) -> None:
            changes: list[Change] = []
            for event in fresh:
                changes += (Put(event.position, texts[key].document) for key in event.keys if key in texts)
                changes += (Removal(event.position, key) for key in event.gone)
            await self.index.apply(tenant, changes, Cursor(stream, fresh[-1].position))

        await asyncio.gather(*(apply(stream, fresh) for stream, fresh in streams.items()))
