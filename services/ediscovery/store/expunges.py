"""What is to vanish from the index, of every tenant, by the role ediscovery_projector."""

from collections.abc import Collection
from typing import Final

from libs.db.pool import CrossingDatabase, Transaction
from libs.kernel.ids import ConversationId, TenantId
from services.ediscovery.domain.documents import DocumentKey

_ADD: Final = """
    INSERT INTO ediscovery.expunge_due (tenant, conversation, seq)
    SELECT %s, k.conversation, k.seq FROM unnest(%s::uuid[], %s::bigint[]) AS k (conversation, seq)
    ON CONFLICT DO NOTHING"""
_TENANTS: Final = "SELECT DISTINCT d.tenant FROM ediscovery.expunge_due d ORDER BY d.tenant"
_DUE: Final = """
    SELECT d.conversation, d.seq FROM ediscovery.expunge_due d
     WHERE d.tenant = %s ORDER BY d.conversation, d.seq LIMIT %s"""
_DONE: Final = """
    DELETE FROM ediscovery.expunge_due d USING unnest(%s::uuid[], %s::bigint[]) AS k (conversation, seq)
     WHERE d.tenant = %s AND d.conversation = k.conversation AND d.seq = k.seq"""


class PostgresDueExpunges:
    """Notes what is due in the projector's transaction, beside its cursor."""

    def __init__(self, tx: Transaction) -> None:
        """Write in `tx`."""
        self._tx = tx

    async def add(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        """Note these; what is noted already stays."""
        await self._tx.execute(_ADD, (tenant, *_columns_of(keys)))


class PostgresExpunges:
    """Tells what is due, until it is done."""

    def __init__(self, database: CrossingDatabase) -> None:
        """Use the pool `database`."""
        self._database = database

    async def tenants(self) -> list[TenantId]:
        """Return the tenants of whom something is due."""
        async with self._database.begin() as tx:
            return [TenantId(row.tenant) for row in await tx.fetch_all(_TENANTS)]

    async def due(self, tenant: TenantId, limit: int) -> list[DocumentKey]:
        """Return what is due of a tenant."""
        async with self._database.begin() as tx:
            rows = await tx.fetch_all(_DUE, (tenant, limit))
        return [DocumentKey(ConversationId(row.conversation), row.seq) for row in rows]

    async def done(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        """Forget these: their words are gone."""
        async with self._database.begin() as tx:
            await tx.execute(_DONE, (*_columns_of(keys), tenant))


def _columns_of(keys: Collection[DocumentKey]) -> tuple[list[ConversationId], list[int]]:
    return [key.conversation for key in keys], [key.seq for key in keys]
