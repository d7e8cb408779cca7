"""An index of messages: what a search engine does for us, whichever it is."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Protocol

from libs.kernel.ids import TenantId
from services.ediscovery.domain.documents import Change, Cursor, Document, DocumentKey, Hit, Standing
from services.ediscovery.domain.query import Query, Scope
from services.ediscovery.domain.wholeness import Reached

MOST_HITS = 10_000
"""The largest page that `search` answers."""


class SearchIndex(Protocol):
    """One index for each tenant and month of `sent_at`; it keeps ids, times and tokens, never a body.

    Every method raises IndexUnavailable when the engine does not answer.
    """

    async def apply(self, tenant: TenantId, changes: Sequence[Change], cursor: Cursor) -> None:
        """Make `changes` and move the cursor of their stream, so that doing it again changes nothing.

        The changes are of one stream, in order of position, none later than the cursor; those at or before
        the stream's present cursor were made already, and are left out. All versions of one entry come by
        the same stream. On return a search sees them.
        """
        ...

    async def cursor(self, tenant: TenantId, stream: str) -> int:
        """Return the last position of `stream` that was applied, 0 before the first."""
        ...

    async def fill(self, tenant: TenantId, documents: Sequence[Document], cursor: Cursor) -> None:
        """Have these documents as the log gives them now, and set `cursor`, which is of no stream of events.

        For an index that is made anew: a change that comes by a stream later counts, whatever its position.
        """
        ...

    async def reached(self, tenant: TenantId) -> Reached:
        """Return how far the index has come, as it lies in the engine now; what is damaged is not there."""
        ...

    async def search(
        self, tenant: TenantId, query: Query, scope: Scope, limit: int, after: Standing | None = None
    ) -> Sequence[Hit]:
        """Return the first `limit` hits (at most MOST_HITS) after `after`, in order of standing.

        `query` is resolved. The hits are exact: the oracle gives the same.
        """
        ...

    async def count(self, tenant: TenantId) -> int:
        """Return how many versions of messages can be found."""
        ...

    async def remove(self, tenant: TenantId, keys: Collection[DocumentKey]) -> Sequence[str]:
        """Let these versions be found no more, and return the parts in whose files removed ones still are.

        Keys that are not there are no error. A part is for `purge` alone to understand.
        """
        ...

    async def purge(self, tenant: TenantId, part: str) -> None:
        """Let what was removed from one part vanish from the engine's files.

        For much that vanishes: part by part, before `expunge` sees that nothing is left. Purging what is
        clean changes nothing. Raises ExpungeUnfinished, after which it can be asked again.
        """
        ...

    async def expunge(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        """Remove these versions, and whatever was only removed before, from the engine's files.

        Returns when no term is left that stood in nothing else. Keys that are not there are no error.
        Raises ExpungeUnfinished, after which it can be asked again.
        """
        ...

    async def terms(self, tenant: TenantId) -> Collection[str]:
        """Return the term dictionary as it is in the engine's files, with terms of removed versions."""
        ...

    async def drop(self, tenant: TenantId) -> None:
        """Delete everything of a tenant, cursors too."""
        ...


class Search(Protocol):
    """What those who look for something need of an index."""

    async def search(
        self, tenant: TenantId, query: Query, scope: Scope, limit: int, after: Standing | None = None
    ) -> Sequence[Hit]:
        """Return the first hits; see `SearchIndex`. Raises IndexRebuilding where it is not whole."""
        ...


class Expunge(Protocol):
    """What is needed of an index so that words vanish."""

    async def remove(self, tenant: TenantId, keys: Collection[DocumentKey]) -> Sequence[str]:
        """Remove these versions and tell which parts have to be purged; see `SearchIndex`."""
        ...

    async def purge(self, tenant: TenantId, part: str) -> None:
        """Let the words of one part vanish; see `SearchIndex`."""
        ...

    async def expunge(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        """Let words vanish, and be sure of it; see `SearchIndex`."""
        ...


class DocumentSource(Protocol):
    """Where documents can be had anew: the conversation's log, which unseals what it gives."""

    def documents(self, tenant: TenantId, keys: Collection[DocumentKey]) -> AsyncIterator[Document]:
        """Give the documents of those of `keys` that still exist."""
        ...
