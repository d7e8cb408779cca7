"""What is noted of every tenant's index, and the rebuilds, by the role ediscovery_projector.

A tenant's row in `index_note` is locked by whoever indexes for him, and by the swap: they take turns.
"""

from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.db.pool import CrossingDatabase, TenantDatabase, Transaction
from libs.events.outbox import append
from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId, Ids, TenantId
from services.ediscovery.domain.documents import DocumentKey
from services.ediscovery.domain.wholeness import Noted
from services.ediscovery.ports.books import Outgoing
from services.ediscovery.ports.rebuilds import Rebuild, Touched
from services.ediscovery.store.outgoing import alive_during, records_of

SCHEMA: Final = "ediscovery"

_NOTE: Final = """
    INSERT INTO ediscovery.index_note (tenant) SELECT k.tenant FROM unnest(%s::uuid[]) AS k (tenant)
     ORDER BY k.tenant ON CONFLICT DO NOTHING"""
_LOCK: Final = """
    SELECT n.tenant FROM ediscovery.index_note n WHERE n.tenant = ANY (%s::uuid[])
     ORDER BY n.tenant FOR UPDATE"""
_NOTED: Final = """
    SELECT n.generation, n.periods, n.leftover,
           n.lost_at IS NOT NULL OR EXISTS (
               SELECT FROM ediscovery.index_rebuild r WHERE r.tenant = n.tenant AND r.ended_at IS NULL
           ) AS renewed
      FROM ediscovery.index_note n WHERE n.tenant = %s"""
_POSITIONS: Final = "SELECT f.stream, f.position FROM ediscovery.index_followed f WHERE f.tenant = %s"
_LOSE: Final = """
    UPDATE ediscovery.index_note SET lost_at = %s WHERE tenant = %s AND lost_at IS NULL"""
_TOUCH: Final = """
    INSERT INTO ediscovery.index_touched (tenant, conversation, seq)
    SELECT %s, k.conversation, k.seq FROM unnest(%s::uuid[], %s::bigint[]) AS k (conversation, seq)"""
_FOLLOW: Final = """
    INSERT INTO ediscovery.index_followed AS f (tenant, stream, position)
    SELECT %s, k.stream, k.position FROM unnest(%s::text[], %s::bigint[]) AS k (stream, position)
    ON CONFLICT (tenant, stream) DO UPDATE SET position = greatest(f.position, excluded.position)"""
_HAVE_PERIODS: Final = """
    UPDATE ediscovery.index_note n SET periods = ARRAY (
           SELECT p FROM unnest(n.periods || %s::text[]) AS p GROUP BY p ORDER BY p)
     WHERE n.tenant = %s AND NOT n.periods @> %s::text[]"""
_BEGIN: Final = """
    INSERT INTO ediscovery.index_rebuild (tenant, act, generation, lost, begun_at)
    SELECT n.tenant, %(act)s, 1 + greatest(n.generation, (
               SELECT coalesce(max(r.generation), 0) FROM ediscovery.index_rebuild r
                WHERE r.tenant = n.tenant)), %(lost)s, coalesce(n.lost_at, %(at)s)
      FROM ediscovery.index_note n
     WHERE n.tenant = %(tenant)s AND NOT EXISTS (
           SELECT FROM ediscovery.index_rebuild r WHERE r.tenant = n.tenant AND r.ended_at IS NULL)"""
_FOUND: Final = "UPDATE ediscovery.index_note SET lost_at = NULL WHERE tenant = %s"
_REBUILD: Final = """
    SELECT r.tenant, r.act, r.generation, r.lost, r.begun_at, r.entries, r.done, r.conversation, r.seq,
           r.periods, r.ended_at
      FROM ediscovery.index_rebuild r"""
_UNDER_WAY: Final = f"{_REBUILD} WHERE r.ended_at IS NULL ORDER BY r.begun_at, r.tenant"
_NEWEST: Final = f"""
    {_REBUILD} JOIN (SELECT n.tenant, max(n.generation) AS newest FROM ediscovery.index_rebuild n
                      GROUP BY n.tenant) x ON x.tenant = r.tenant AND x.newest = r.generation
     ORDER BY r.begun_at, r.tenant"""
_TENANTS: Final = "SELECT n.tenant FROM ediscovery.index_note n ORDER BY n.tenant"
_ADVANCE: Final = """
    UPDATE ediscovery.index_rebuild
       SET entries = %s, done = %s, conversation = %s, seq = %s, periods = %s
     WHERE tenant = %s AND act = %s"""
_TOUCHED: Final = """
    SELECT t.number, t.conversation, t.seq FROM ediscovery.index_touched t
     WHERE t.tenant = %s ORDER BY t.number LIMIT %s"""
_UNTOUCH: Final = (
    "DELETE FROM ediscovery.index_touched t WHERE t.tenant = %s AND t.number = ANY (%s::bigint[])"
)
_UNTOUCH_ALL: Final = "DELETE FROM ediscovery.index_touched t WHERE t.tenant = %s"
_SWAP: Final = """
    UPDATE ediscovery.index_note SET leftover = generation, generation = %s, periods = %s, lost_at = NULL
     WHERE tenant = %s"""
_END: Final = """
    UPDATE ediscovery.index_rebuild SET ended_act = %s, ended_at = %s WHERE tenant = %s AND act = %s"""
_LEFTOVERS: Final = """
    SELECT n.tenant, n.leftover FROM ediscovery.index_note n WHERE n.leftover IS NOT NULL ORDER BY n.tenant"""
_FORGET: Final = "UPDATE ediscovery.index_note SET leftover = NULL WHERE tenant = %s"
_DROPPED: Final = "INSERT INTO ediscovery.index_dropped (tenant, act, at) VALUES (%s, %s, %s)"
_MOST_TOUCHED: Final = 1_000_000


class PostgresNotes:
    """Reads what is noted of one tenant's index, as the role ediscovery_app."""

    def __init__(self, database: TenantDatabase) -> None:
        """Use the pool `database`."""
        self._database = database

    async def noted(self, tenant: TenantId) -> Noted:
        """Return it."""
        async with self._database.begin(tenant) as tx:
            return await _noted(tx, tenant)


class PostgresNotesUnderWay:
    """Notes how far the indexes follow, in the projector's transaction, beside its cursor."""

    def __init__(self, tx: Transaction) -> None:
        """Write in `tx`."""
        self._tx = tx

    async def locked(self, tenants: Collection[TenantId]) -> Mapping[TenantId, Noted]:
        """Return what is noted, locked in the order of the tenants."""
        await self._tx.execute(_NOTE, (sorted(tenants),))
        await self._tx.fetch_all(_LOCK, (sorted(tenants),))
        return {tenant: await _noted(self._tx, tenant) for tenant in sorted(tenants)}

    async def lose(self, tenant: TenantId, at: datetime) -> None:
        """Note that the index is lost."""
        await self._tx.execute(_LOSE, (at, tenant))

    async def touch(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        """Note of which messages something is told."""
        conversations, seqs = [key.conversation for key in keys], [key.seq for key in keys]
        await self._tx.execute(_TOUCH, (tenant, conversations, seqs))

    async def follow(self, tenant: TenantId, positions: Mapping[str, int], periods: Collection[str]) -> None:
        """Note how far the index follows, and of which months it has something."""
        await self._tx.execute(_FOLLOW, (tenant, list(positions), list(positions.values())))
        if periods:
            named = sorted(periods)
            await self._tx.execute(_HAVE_PERIODS, (named, tenant, named))


class PostgresSwap:
    """The transaction in which one rebuild ends."""

    def __init__(self, tx: Transaction, rebuild: Rebuild, clock: Clock, ids: Ids) -> None:
        """Speak through `tx`, in which the tenant's note is locked."""
        self._tx = tx
        self._rebuild = rebuild
        self._clock = clock
        self._ids = ids

    async def noted(self) -> Noted:
        """Return what is noted."""
        return await _noted(self._tx, self._rebuild.tenant)

    async def touched(self) -> list[DocumentKey]:
        """Return what is left of what was told meanwhile."""
        rows = await self._tx.fetch_all(_TOUCHED, (self._rebuild.tenant, _MOST_TOUCHED))
        return [DocumentKey(ConversationId(row.conversation), row.seq) for row in rows]

    async def alive_during(self, work: Awaitable[None]) -> None:
        """Wait for `work`."""
        await alive_during(self._tx, work)

    async def end(self, act: UUID, periods: Collection[str], at: datetime) -> None:
        """Let the new index be the one that counts."""
        rebuild = self._rebuild
        await self._tx.execute(_SWAP, (rebuild.generation, sorted(periods), rebuild.tenant))
        await self._tx.execute(_UNTOUCH_ALL, (rebuild.tenant,))
        await self._tx.execute(_END, (act, at, rebuild.tenant, rebuild.act))

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Append to the outbox."""
        records = records_of(events, self._rebuild.tenant, self._ids, self._clock)
        await append(self._tx, SCHEMA, records)


class PostgresRebuilds:
    """The indexes of all tenants that are made anew."""

    def __init__(self, database: CrossingDatabase, clock: Clock, ids: Ids) -> None:
        """Use the pool `database`."""
        self._database = database
        self._clock = clock
        self._ids = ids

    async def begin(
        self, tenant: TenantId, act: UUID, at: datetime, told: Sequence[Outgoing], *, lost: bool
    ) -> bool:
        """Begin one, and tell of it; False if one is under way."""
        async with self._database.begin() as tx:
            await tx.execute(_NOTE, ([tenant],))
            await tx.fetch_all(_LOCK, ([tenant],))
            row = {"tenant": tenant, "act": act, "at": at, "lost": lost}
            begun = await tx.execute(_BEGIN, row) == 1
            await tx.execute(_FOUND, (tenant,))
            if begun:
                await append(tx, SCHEMA, records_of(told, tenant, self._ids, self._clock))
            return begun

    async def under_way(self) -> list[Rebuild]:
        """Return those that have not ended, oldest first."""
        return await self._listed(_UNDER_WAY)

    async def newest(self) -> list[Rebuild]:
        """Return the newest of each tenant."""
        return await self._listed(_NEWEST)

    async def tenants(self) -> list[TenantId]:
        """Return the tenants of whose indexes something is noted."""
        async with self._database.begin() as tx:
            return [TenantId(row.tenant) for row in await tx.fetch_all(_TENANTS)]

    async def record_dropped(
        self, tenant: TenantId, act: UUID, at: datetime, told: Sequence[Outgoing]
    ) -> None:
        """Keep that an index was dropped, and tell of it."""
        async with self._database.begin() as tx:
            await tx.execute(_DROPPED, (tenant, act, at))
            await append(tx, SCHEMA, records_of(told, tenant, self._ids, self._clock))

    async def advance(self, rebuild: Rebuild) -> None:
        """Note how far it has come."""
        reached = (rebuild.entries, rebuild.done, rebuild.conversation, rebuild.seq, sorted(rebuild.periods))
        async with self._database.begin() as tx:
            await tx.execute(_ADVANCE, (*reached, rebuild.tenant, rebuild.act))

    async def touched(self, tenant: TenantId, limit: int) -> list[Touched]:
        """Return of which messages something was told meanwhile, in order."""
        async with self._database.begin() as tx:
            rows = await tx.fetch_all(_TOUCHED, (tenant, limit))
        return [Touched(row.number, DocumentKey(ConversationId(row.conversation), row.seq)) for row in rows]

    async def untouch(self, tenant: TenantId, touched: Collection[Touched]) -> None:
        """Forget these, and nothing that was told since."""
        async with self._database.begin() as tx:
            await tx.execute(_UNTOUCH, (tenant, [each.number for each in touched]))

    def swap(self, rebuild: Rebuild) -> AbstractAsyncContextManager[PostgresSwap]:
        """Lock the tenant's note: whoever indexes for him waits."""
        return self._swap(rebuild)

    @asynccontextmanager
    async def _swap(self, rebuild: Rebuild) -> AsyncIterator[PostgresSwap]:
        async with self._database.begin() as tx:
            await tx.fetch_all(_LOCK, ([rebuild.tenant],))
            yield PostgresSwap(tx, rebuild, self._clock, self._ids)

    async def leftovers(self) -> list[tuple[TenantId, int]]:
        """Return the generations that were replaced, and whose files are still there."""
        async with self._database.begin() as tx:
            return [(TenantId(row.tenant), row.leftover) for row in await tx.fetch_all(_LEFTOVERS)]

    async def forget_leftover(self, tenant: TenantId) -> None:
        """Note that they are gone."""
        async with self._database.begin() as tx:
            await tx.execute(_FORGET, (tenant,))

    async def _listed(self, statement: str) -> list[Rebuild]:
        async with self._database.begin() as tx:
            return list(map(_rebuild_of, await tx.fetch_all(statement)))


async def _noted(tx: Transaction, tenant: TenantId) -> Noted:
    row = await tx.fetch_one(_NOTED, (tenant,))
    if row is None:
        return Noted()
    positions = {each.stream: each.position for each in await tx.fetch_all(_POSITIONS, (tenant,))}
    return Noted(row.generation, positions, frozenset(row.periods), row.renewed, row.leftover)


def _rebuild_of(row: Any) -> Rebuild:
    return Rebuild(
        TenantId(row.tenant),
        row.act,
        row.generation,
        row.lost,
        row.begun_at,
        row.entries,
        row.done,
        None if row.conversation is None else ConversationId(row.conversation),
        row.seq,
        frozenset(row.periods),
        row.ended_at,
    )
