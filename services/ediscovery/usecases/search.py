"""Search in a matter, and look at what was found: each time an act, told before the first byte leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from libs.kernel.actors import Actor
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids
from services.ediscovery.domain.access import SEARCH_MATTER
from services.ediscovery.domain.documents import DocumentKey, Standing
from services.ediscovery.domain.errors import NotFound
from services.ediscovery.domain.highlights import Excerpt, excerpt_of
from services.ediscovery.domain.texts import Text, purpose_of
from services.ediscovery.ports.books import Books, MessageViewed, SearchMade
from services.ediscovery.ports.correspondence import Correspondence
from services.ediscovery.ports.index import Search
from services.ediscovery.usecases.access import Access
from services.ediscovery.usecases.told import fact_of_search, fact_of_view
from services.ediscovery.usecases.understand import UnderstandQuery


class Found(NamedTuple):
    """A message that was found, and the part of it where the words stand."""

    text: Text
    excerpt: Excerpt


class Page(NamedTuple):
    """What was found, in order; `after` is where the next page begins, None on the last."""

    act: UUID
    found: Sequence[Found]
    after: Standing | None


@dataclass(frozen=True, slots=True)
class SearchMatter:
    """Nothing outside of a matter's scope can be seen in it."""

    books: Books
    access: Access
    understand: UnderstandQuery
    index: Search
    correspondence: Correspondence
    clock: Clock
    ids: Ids

    async def search(
        self, actor: Actor, matter: UUID, query: str, limit: int, after: Standing | None
    ) -> Page:
        """Return at most `limit` hits with their highlights; a message that is gone meanwhile is left out.

        Raises NotFound, QueryRefused, NameUnknown, IndexRebuilding, IndexUnavailable,
        CorrespondenceUnavailable, KeyRefused.
        """
        async with self.books.begin(actor.tenant) as book:
            found = await self.access.access_matter(book, actor, matter, SEARCH_MATTER)
        wanted = await self.understand(actor.tenant, query)
        hits = await self.index.search(actor.tenant, wanted, found.bounds.scope, limit, after)
        act = self.ids.uuid7()
        made = SearchMade(act, matter, actor.principal, query, len(hits), self.clock.now())
        async with self.books.begin(actor.tenant) as book:
            await book.record_search(made)
            await book.publish([fact_of_search(made)])
        keys = [hit.key for hit in hits]
        read = await self.correspondence.texts(actor.tenant, keys, purpose_of(matter, act))
        texts = {text.key: text for text in read if found.bounds.includes(text.document)}
        shown = [Found(texts[key], excerpt_of(texts[key].text, wanted)) for key in keys if key in texts]
        return Page(act, shown, hits[-1].standing if len(hits) == limit else None)

    async def view(self, actor: Actor, matter: UUID, key: DocumentKey) -> Text:
        """Return a whole message within the scope of a matter.

        Raises NotFound, CorrespondenceUnavailable or KeyRefused.
        """
        async with self.books.begin(actor.tenant) as book:
            found = await self.access.access_matter(book, actor, matter, SEARCH_MATTER)
        viewed = MessageViewed(self.ids.uuid7(), matter, actor.principal, key, self.clock.now())
        async with self.books.begin(actor.tenant) as book:
            await book.record_view(viewed)
            await book.publish([fact_of_view(viewed)])
        for text in await self.correspondence.texts(actor.tenant, [key], purpose_of(matter, viewed.act)):
            if found.bounds.includes(text.document):
                return text
        raise NotFound
