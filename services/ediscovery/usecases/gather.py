"""Bring everything that the parts of a production are made from, page by page and ahead of their making."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from libs.evidence.bundle import Commit
from libs.kernel.ids import TenantId
from services.ediscovery.domain.errors import ProofsBehind
from services.ediscovery.domain.productions.items import Conversation, Person
from services.ediscovery.domain.productions.judge import name_of
from services.ediscovery.domain.productions.orders import Order
from services.ediscovery.domain.productions.people import pseudonym_of
from services.ediscovery.domain.productions.sources import Head, LoggedEntry, Presence
from services.ediscovery.domain.texts import purpose_of
from services.ediscovery.ports.productions import MOST_ENTRIES, Sources
from services.ediscovery.usecases.heads import heads_in

V = TypeVar("V")
_AHEAD: Final = 4
"""Pages that are fetched while another is written."""
_MOST_COMMITS: Final = 4_000
_MOST_PEOPLE: Final = 50_000


class Place(NamedTuple):
    """An entry of a conversation."""

    conversation: UUID
    seq: int


class Page(NamedTuple):
    """Entries `first` to `last` of a conversation that reaches `until`, with what proves them."""

    about: Conversation
    presence: Presence
    entries: list[LoggedEntry]
    commits: Mapping[UUID, Commit]
    first: int
    last: int
    until: int


@dataclass(slots=True)
class Gather:
    """Fetches for one production; what several pages need is fetched once."""

    sources: Sources
    order: Order
    act: UUID
    size: int
    _commits: OrderedDict[UUID, Commit] = field(default_factory=OrderedDict)
    _people: OrderedDict[UUID, Person] = field(default_factory=OrderedDict)

    async def pages(self, last: Place | None) -> AsyncIterator[Page]:
        """Give the pages of the scope behind `last`, in order, while the next ones are on their way.

        Raises CorrespondenceUnavailable, KeyRefused and ProofsBehind.
        """
        under_way: deque[asyncio.Task[Page]] = deque()
        named: asyncio.Task[Conversation] | None = None
        try:
            async for head in heads_in(self.sources, self._tenant, self.act):
                if not head.is_in(self.order.scope):
                    continue
                begin = _begin_of(head, last)
                if begin > head.last_seq:
                    continue
                presence, named = Presence(head.spans), asyncio.create_task(self._about(head))
                for first in range(begin, head.last_seq + 1, MOST_ENTRIES):
                    page = self._page(named, presence, head, first)
                    under_way.append(asyncio.create_task(page))
                    if len(under_way) > _AHEAD:
                        yield await under_way.popleft()
            while under_way:
                yield await under_way.popleft()
        finally:
            rest: list[asyncio.Task[Any]] = [*under_way, *([] if named is None else [named])]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

    @property
    def _tenant(self) -> TenantId:
        return self.order.tenant

    async def _page(
        self,
        named: "asyncio.Task[Conversation]",
        presence: Presence,
        head: Head,
        first: int,
    ) -> Page:
        last = min(first + MOST_ENTRIES - 1, head.last_seq)
        entries = await self._entries(head.conversation, first, last)
        commits = await self._proved({each.commit for each in entries if each.commit is not None})
        return Page(await asyncio.shield(named), presence, entries, commits, first, last, head.last_seq)

    async def _entries(self, conversation: UUID, first: int, last: int) -> list[LoggedEntry]:
        purpose = purpose_of(self.order.matter, self.order.production)
        return await self.sources.entries(self._tenant, conversation, first, last, purpose)

    async def _about(self, head: Head) -> Conversation:
        """Return a conversation with the names of it and of its people."""
        known = await self._known(head.principals)
        name = name_of(await self._entries(head.conversation, 1, 1))
        return Conversation(
            head.conversation, head.kind, name, tuple(known[each] for each in head.principals)
        )

    async def _proved(self, acts: Collection[UUID]) -> dict[UUID, Commit]:
        """Return what leads from commits to the checkpoint. Raises ProofsBehind where it does not yet."""
        missing = sorted(act for act in acts if act not in self._commits)
        found = {act: self._commits[act] for act in acts if act in self._commits}
        for some in _parts_of(missing):
            proofs = await self.sources.proofs(self._tenant, some, self.size)
            found |= proofs.acts
        if len(found) < len(acts):
            raise ProofsBehind(self.order.production)
        _keep(self._commits, found, _MOST_COMMITS)
        return found

    async def _known(self, principals: Collection[UUID]) -> dict[UUID, Person]:
        """Return people by their ids; whom the directory does not know has a pseudonym."""
        missing = sorted(each for each in set(principals) if each not in self._people)
        found = {each: self._people[each] for each in principals if each in self._people}
        for some in _parts_of(missing):
            named = await self.sources.people(self._tenant, some)
            found |= {each: named.get(each) or Person(each, pseudonym_of(each)) for each in some}
        _keep(self._people, found, _MOST_PEOPLE)
        return found


def _begin_of(head: Head, last: Place | None) -> int:
    """Return the first entry of a conversation that is still to come."""
    if last is None or head.conversation > last.conversation:
        return 1
    return last.seq + 1 if head.conversation == last.conversation else head.last_seq + 1


def _parts_of(ids: list[UUID]) -> Iterable[list[UUID]]:
    return (ids[at : at + MOST_ENTRIES] for at in range(0, len(ids), MOST_ENTRIES))


def _keep(kept: OrderedDict[UUID, V], found: Mapping[UUID, V], most: int) -> None:
    """Keep what was found, and forget what was kept longest."""
    kept.update(found)
    while len(kept) > most:
        kept.popitem(last=False)
