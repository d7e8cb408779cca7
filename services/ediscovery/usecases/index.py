"""Keep the index at what was committed: each message is found once, however often it is told of."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from libs.kernel.clock import Clock
from libs.kernel.ids import TenantId
from services.ediscovery.domain.documents import Change, Cursor, DocumentKey, Put, Removal, period_of
from services.ediscovery.domain.texts import INDEXING, Text
from services.ediscovery.domain.wholeness import Noted, is_whole
from services.ediscovery.ports.correspondence import Correspondence
from services.ediscovery.ports.expunges import Destruction
from services.ediscovery.ports.index import SearchIndex
from services.ediscovery.ports.rebuilds import NotesUnderWay
from services.ediscovery.usecases.current import Generations

TENANTS_AT_A_TIME: Final = 8
MOST_AT_A_TIME: Final = 2000
"""Messages of a tenant that are in memory together, unless one event tells of more."""


class Committed(NamedTuple):
    """Messages that one event, at `position` of `stream`, tells of: that came to be, or that are `gone`.

    Those are gone `by` an order. `amendments` are revisions and retractions: they say something of every
    version of their message.
    """

    tenant: TenantId
    stream: str
    position: int
    keys: tuple[DocumentKey, ...]
    gone: tuple[DocumentKey, ...] = ()
    by: Destruction | None = None
    amendments: tuple[DocumentKey, ...] = ()


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
            tenants[each.tenant].append(await self._with_versions(each))
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

    async def _with_versions(self, event: Committed) -> Committed:
        """Return an event that tells of every version of what it amends: each is put anew."""
        if not event.amendments:
            return event
        versions = await self.correspondence.versions(event.tenant, event.amendments)
        keys = {*event.keys, *(key for of_one in versions.values() for key in of_one)}
        return event._replace(keys=tuple(sorted(keys)))

    async def _index(
        self, tenant: TenantId, events: Sequence[Committed], noted: Noted
    ) -> frozenset[str] | None:
        """Index one tenant's and return of which months there is something new; None: the index is lost."""
        index = self.generations(noted.generation)
        reached = await index.reached(tenant)
        if not is_whole(noted, reached):
            return None
        fresh = [each for each in events if each.position > reached.cursors.get(each.stream, 0)]
        periods: set[str] = set()
        for some in _some_at_a_time(fresh):
            periods |= await self._step(index, tenant, some)
        return frozenset(periods)

    async def _step(self, index: SearchIndex, tenant: TenantId, events: Sequence[Committed]) -> set[str]:
        """Index what some events tell of, and return of which months that is."""
        keys = {key for event in events for key in event.keys}
        texts = await self.correspondence.texts(tenant, keys, INDEXING)
        streams = await asyncio.to_thread(_changes_of, events, texts)
        await asyncio.gather(*(index.apply(tenant, changes, cursor) for cursor, changes in streams.items()))
        return {str(period_of(text.sent_at)) for text in texts}


def _some_at_a_time(events: Sequence[Committed]) -> Iterator[list[Committed]]:
    """Divide events, in their order, so that those together tell of few enough messages."""
    some: list[Committed] = []
    messages = 0
    for event in events:
        if some and messages + len(event.keys) > MOST_AT_A_TIME:
            yield some
            some, messages = [], 0
        some.append(event)
        messages += len(event.keys)
    if some:
        yield some


def _changes_of(events: Sequence[Committed], texts: Sequence[Text]) -> dict[Cursor, list[Change]]:
    """Return what changes in each stream, by its last position; of a message, the last change alone."""
    documents = {text.key: text.document for text in texts}
    changes: dict[str, dict[DocumentKey, Change]] = defaultdict(dict)
    for event in events:
        of_stream = changes[event.stream]
        for key in event.keys:
            if key in documents:
                of_stream.pop(key, None)
                of_stream[key] = Put(event.position, documents[key])
        for key in event.gone:
            of_stream.pop(key, None)
            of_stream[key] = Removal(event.position, key)
    return {
        Cursor(stream, position): list(changes[stream].values())
        for stream, position in _reached_by(events).items()
    }


def _reached_by(events: Sequence[Committed]) -> dict[str, int]:
    """Return the last position of each stream."""
    reached: dict[str, int] = {}
    for event in events:
        reached[event.stream] = max(event.position, reached.get(event.stream, 0))
    return reached
