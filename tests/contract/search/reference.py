"""The oracle as an index in memory, and a log from which documents can be had anew."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence

from libs.kernel.ids import TenantId
from services.ediscovery.domain.documents import (
    Change,
    Cursor,
    Document,
    DocumentKey,
    Hit,
    Put,
    Standing,
    period_of,
)
from services.ediscovery.domain.oracle import hits_of
from services.ediscovery.domain.query import Query, Scope, scoped
from services.ediscovery.domain.wholeness import Reached


class Log:
    """The documents that exist, of all tenants: what the conversation's log is to an index."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.kept: dict[tuple[TenantId, DocumentKey], Document] = {}

    def keep(self, tenant: TenantId, documents: Iterable[Document]) -> None:
        """Let documents exist."""
        self.kept.update({(tenant, one.key): one for one in documents})

    def forget(self, tenant: TenantId, key: DocumentKey) -> None:
        """Let a document exist no more."""
        self.kept.pop((tenant, key), None)

    async def documents(self, tenant: TenantId, keys: Collection[DocumentKey]) -> AsyncIterator[Document]:
        """Give those of `keys` that exist."""
        for key in keys:
            if (found := self.kept.get((tenant, key))) is not None:
                yield found


class OracleIndex:
    """A SearchIndex that evaluates each query on each document."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._documents: dict[TenantId, dict[DocumentKey, Document]] = {}
        self._cursors: dict[tuple[TenantId, str], int] = {}

    async def apply(self, tenant: TenantId, changes: Sequence[Change], cursor: Cursor) -> None:
        """Make changes that are new."""
        known = await self.cursor(tenant, cursor.stream)
        documents = self._documents.setdefault(tenant, {})
        for change in changes:
            if change.position <= known:
                continue
            if isinstance(change, Put):
                documents[change.document.key] = change.document
            else:
                documents.pop(change.key, None)
        self._cursors[tenant, cursor.stream] = max(known, cursor.position)

    async def cursor(self, tenant: TenantId, stream: str) -> int:
        """Return the last position."""
        return self._cursors.get((tenant, stream), 0)

    async def fill(self, tenant: TenantId, documents: Sequence[Document], cursor: Cursor) -> None:
        """Have documents."""
        self._documents.setdefault(tenant, {}).update({one.key: one for one in documents})
        self._cursors[tenant, cursor.stream] = cursor.position

    async def reached(self, tenant: TenantId) -> Reached:
        """Return cursors and months."""
        cursors = {stream: at for (whose, stream), at in self._cursors.items() if whose == tenant}
        months = {str(period_of(one.sent_at)) for one in self._documents.get(tenant, {}).values()}
        return Reached(cursors, frozenset(months))

    async def search(
        self, tenant: TenantId, query: Query, scope: Scope, limit: int, after: Standing | None = None
    ) -> Sequence[Hit]:
        """Return the oracle's hits."""
        return hits_of(self._documents.get(tenant, {}).values(), scoped(query, scope), limit, after)

    async def count(self, tenant: TenantId) -> int:
        """Return how many documents there are."""
        return len(self._documents.get(tenant, {}))

    async def remove(self, tenant: TenantId, keys: Collection[DocumentKey]) -> Sequence[str]:
        """Remove documents, which leaves nothing to purge."""
        await self.expunge(tenant, keys)
        return ()

    async def purge(self, tenant: TenantId, part: str) -> None:
        """Do nothing: there are no parts."""

    async def expunge(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        """Remove documents, which leaves nothing."""
        for key in keys:
            self._documents.get(tenant, {}).pop(key, None)

    async def terms(self, tenant: TenantId) -> Collection[str]:
        """Return all tokens."""
        return {token for one in self._documents.get(tenant, {}).values() for token in one.tokens}

    async def drop(self, tenant: TenantId) -> None:
        """Forget a tenant."""
        self._documents.pop(tenant, None)
        for key in [key for key in self._cursors if key[0] == tenant]:
            del self._cursors[key]
