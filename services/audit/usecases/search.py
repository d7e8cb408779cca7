"""Search a log: entries by who did what to what and when, of the classes that the reader may see."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from libs.kernel.actors import Actor
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids
from services.audit.domain.errors import EntryNotFound
from services.audit.domain.reading import ENTRIES_SEARCHED, Criteria, FoundEntry, Page, Reading
from services.audit.ports.reading import Database, LogReader
from services.audit.usecases.access import Access
from services.audit.usecases.told import fact_of_reading


class FoundPage(NamedTuple):
    """Entries in order, where to go on (None at the end), and whether their indices may be told."""

    entries: list[FoundEntry]
    next: UUID | None
    indices: bool


@dataclass(frozen=True, slots=True)
class SearchEntries:
    """Finds entries that a signed checkpoint covers; each search is an act of its own."""

    database: Database
    access: Access
    clock: Clock
    ids: Ids

    async def __call__(
        self, actor: Actor, wanted: Criteria, *, after: UUID | None, limit: int, newest_first: bool
    ) -> FoundPage:
        """Return at most `limit` entries from behind that of the fact `after`; nothing leaves untold.

        Raises EntryNotFound for who may see no details, and for an `after` that he cannot see.
        """
        shown = self.access.access_details(actor)
        reading = Reading(
            self.ids.uuid7(), actor.principal, ENTRIES_SEARCHED, actor.tenant, wanted.said(), self.clock.now()
        )
        async with self.database.begin(actor.tenant) as tx:
            checkpoint = await tx.log.find_checkpoint()
            size = 0 if checkpoint is None else checkpoint.size
            beyond = None if after is None else await _index_of(tx.log, after, shown, size)
            page = Page(size, limit + 1, beyond, newest_first)
            found = await tx.log.search(wanted, shown, page)
            await tx.record_readings([(reading, fact_of_reading(reading))])
        entries = found[:limit]
        following = entries[-1].fact if len(found) > limit else None
        return FoundPage(entries, following, self.access.sees_indices(actor))


async def _index_of(log: LogReader, fact: UUID, shown: frozenset[str], size: int) -> int:
    index = await log.find_index(fact, shown, size)
    if index is None:
        raise EntryNotFound("entry")
    return index
