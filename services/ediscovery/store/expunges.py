"""What is to vanish from the index, of every tenant, by the role ediscovery_projector."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from uuid import UUID

from libs.barrier.door import SOURCE
from libs.barrier.generation import share_present_generation
from libs.db.pool import CrossingDatabase, Transaction
from libs.events.outbox import append
from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId, Ids, TenantId
from services.ediscovery.domain.documents import DocumentKey
from services.ediscovery.domain.errors import ExpungesStopped
from services.ediscovery.ports.books import Outgoing
from services.ediscovery.ports.expunges import Destruction, ItemsExpunged
from services.ediscovery.store.outgoing import alive_during, records_of

SCHEMA: Final = "ediscovery"

_ADD: Final = """
    INSERT INTO ediscovery.expunge_due (tenant, order_id, generation, conversation, seq)
    SELECT %s, %s, %s, k.conversation, k.seq FROM unnest(%s::uuid[], %s::bigint[]) AS k (conversation, seq)
    ON CONFLICT DO NOTHING"""
_TENANTS: Final = """
    SELECT d.tenant, count(*) AS due FROM ediscovery.expunge_due d GROUP BY d.tenant ORDER BY d.tenant"""
_PARKED: Final = "SELECT FROM ediscovery.parked p WHERE p.tenant = %s AND p.source = %s LIMIT 1"
_DUE: Final = """
    SELECT d.conversation, d.seq FROM ediscovery.expunge_due d
     WHERE d.tenant = %s AND d.generation <= %s ORDER BY d.conversation, d.seq LIMIT %s"""
_DONE: Final = """
    DELETE FROM ediscovery.expunge_due d USING unnest(%s::uuid[], %s::bigint[]) AS k (conversation, seq)
     WHERE d.tenant = %s AND d.conversation = k.conversation AND d.seq = k.seq
    RETURNING d.order_id"""
_EXPUNGED: Final = """
    INSERT INTO ediscovery.expunged (tenant, act, order_id, items, at) VALUES (%s, %s, %s, %s, %s)"""


class PostgresDueExpunges:
    """Notes what is due in the projector's transaction, beside its cursor."""

    def __init__(self, tx: Transaction) -> None:
        """Write in `tx`."""
        self._tx = tx

    async def add(self, tenant: TenantId, by: Destruction, keys: Collection[DocumentKey]) -> None:
        """Note these; what is noted already stays."""
        await self._tx.execute(_ADD, (tenant, by.order, by.generation, *_columns_of(keys)))


class PostgresExpungeUnderWay:
    """One transaction of one tenant, which shares the generation of his holds."""

    def __init__(self, tx: Transaction, tenant: TenantId, generation: int, clock: Clock, ids: Ids) -> None:
        """Speak through `tx`, which shares `generation`."""
        self._tx = tx
        self._tenant = tenant
        self._generation = generation
        self._clock = clock
        self._ids = ids

    async def due(self, limit: int) -> list[DocumentKey]:
        """Return what is due of orders of this generation, or earlier ones."""
        rows = await self._tx.fetch_all(_DUE, (self._tenant, self._generation, limit))
        return [DocumentKey(ConversationId(row.conversation), row.seq) for row in rows]

    async def alive_during(self, work: Awaitable[None]) -> None:
        """Wait for `work`; it is given up when the transaction, and with it the barrier, is lost."""
        await alive_during(self._tx, work)

    async def forget(self, keys: Collection[DocumentKey]) -> Mapping[UUID, int]:
        """Forget these, and return how many each order had."""
        rows = await self._tx.fetch_all(_DONE, (*_columns_of(keys), self._tenant))
        return Counter(row.order_id for row in rows if row.order_id is not None)

    async def record(self, expunged: ItemsExpunged) -> None:
        """Keep that words are gone."""
        row = (self._tenant, expunged.act, expunged.order, expunged.items, expunged.at)
        await self._tx.execute(_EXPUNGED, row)

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Append to the outbox."""
        await append(self._tx, SCHEMA, records_of(events, self._tenant, self._ids, self._clock))


class PostgresExpunges:
    """Tells what is due, until it is done."""

    def __init__(self, database: CrossingDatabase, clock: Clock, ids: Ids) -> None:
        """Use the pool `database`."""
        self._database = database
        self._clock = clock
        self._ids = ids

    async def tenants(self) -> Mapping[TenantId, int]:
        """Return the tenants of whom something is due, with how much."""
        async with self._database.begin() as tx:
            return {TenantId(row.tenant): row.due for row in await tx.fetch_all(_TENANTS)}

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[PostgresExpungeUnderWay]:
        """Share the generation first of all. Raises ExpungesStopped where a hold may be parked."""
        return self._begin(tenant)

    @asynccontextmanager
    async def _begin(self, tenant: TenantId) -> AsyncIterator[PostgresExpungeUnderWay]:
        async with self._database.begin() as tx:
            generation = await share_present_generation(tx, SCHEMA, tenant)
            if await tx.fetch_one(_PARKED, (tenant, SOURCE)) is not None:
                raise ExpungesStopped(tenant)
            yield PostgresExpungeUnderWay(tx, tenant, generation, self._clock, self._ids)


def _columns_of(keys: Collection[DocumentKey]) -> tuple[list[ConversationId], list[int]]:
    return [key.conversation for key in keys], [key.seq for key in keys]
