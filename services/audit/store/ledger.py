"""The trees of all logs in PostgreSQL, on the one connection that holds the integrator's lock.

Lock and writes share that connection: an integrator that lost its lock cannot write any more.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection

from libs.db.arrays import bigints, byteas, smallints, texts, uuids
from libs.db.pool import CrossingDatabase, Transaction
from libs.kernel.ids import TenantId
from libs.merkle.hashing import HASH_BYTES
from libs.merkle.tiles import TILE_WIDTH
from services.audit.domain.errors import GrowthRefused, LogDamaged
from services.audit.domain.growth import Growth, Published, Span, Standing

_LOCK: Final = "SELECT pg_try_advisory_lock(hashtext('muniment integrator'), 0) AS mine"
_UNLOCK: Final = "SELECT pg_advisory_unlock_all()"
_BEHIND: Final = """
    SELECT b.tenant, b.sequenced, b.integrated
      FROM (SELECT l.tenant, l.sequenced,
                   coalesce((SELECT t.integrated FROM audit.tree t WHERE t.tenant = l.tenant), 0)
                   AS integrated
              FROM audit.log l) AS b
     WHERE b.integrated < b.sequenced ORDER BY b.tenant"""
_PUBLISHED: Final = """
    SELECT c.size, c.root FROM audit.checkpoint c WHERE c.tenant = %s ORDER BY c.size DESC LIMIT 1"""
# A row for each span, not for each entry: taking rows apart would cost as much as hashing them. Entries up
# to the first that is missing: there the number of those before it and its index part.
_LEAF_HASHES: Final = """
    SELECT n.tenant, string_agg(n.leaf_hash, ''::bytea ORDER BY n.index) AS hashes
      FROM (SELECT s.tenant, e.index, e.leaf_hash,
                   e.index - s.first - row_number() OVER (PARTITION BY s.tenant ORDER BY e.index) AS missing
              FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) AS s (tenant, first, beyond)
              JOIN audit.entry e ON e.tenant = s.tenant AND e.index >= s.first AND e.index < s.beyond
           ) AS n
     WHERE n.missing = -1
     GROUP BY n.tenant"""
_TILES: Final = """
    SELECT t.number, t.hashes FROM audit.tile t
     WHERE t.tenant = %s AND t.level = %s AND t.number >= %s AND t.number < %s ORDER BY t.number"""
_INSERT_TILES: Final = """
    INSERT INTO audit.tile (tenant, level, number, hashes)
    SELECT t.tenant, t.level, t.number, t.hashes
      FROM unnest(%s::uuid[], %s::smallint[], %s::bigint[], %s::bytea[])
           AS t (tenant, level, number, hashes)"""
_INSERT_CHECKPOINTS: Final = """
    INSERT INTO audit.checkpoint (tenant, size, root, note)
    SELECT c.tenant, c.size, c.root, c.note
      FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[], %s::text[]) AS c (tenant, size, root, note)"""
_INTEGRATE: Final = """
    UPDATE audit.tree AS t SET integrated = g.integrated
      FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) AS g (tenant, before, integrated)
     WHERE t.tenant = g.tenant AND t.integrated = g.before"""


class PostgresLedger:
    """The ledger on a connection of audit_sequencer that is in autocommit."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        """Read and write by `connection`."""
        self._connection = connection
        self._tx = Transaction(connection)  # of one statement each, outside of `grow`

    async def behind(self) -> list[Standing]:
        """Return the logs that have entries which no tree has yet."""
        rows = await self._tx.fetch_all(_BEHIND)
        return [Standing(row.tenant, row.sequenced, row.integrated) for row in rows]

    async def find_published(self, tenant: TenantId) -> Published | None:
        """Return the largest checkpoint of a log."""
        row = await self._tx.fetch_one(_PUBLISHED, (tenant,))
        return None if row is None else Published(row.size, row.root)

    async def leaf_hashes(self, spans: Sequence[Span]) -> dict[TenantId, list[bytes]]:
        """Return leaf hashes in order, of each span up to the first entry that is missing."""
        parameters = (
            uuids([span.tenant for span in spans]),
            bigints([span.first for span in spans]),
            bigints([span.end for span in spans]),
        )
        rows = await self._tx.fetch_all(_LEAF_HASHES, parameters)
        return {row.tenant: _hashes_in(row.hashes) for row in rows}

    async def full_tiles(self, tenant: TenantId, level: int, first: int, count: int) -> list[bytes]:
        """Return full tiles in order; raises LogDamaged at one that is missing."""
        rows = await self._tx.fetch_all(_TILES, (tenant, level, first, first + count))
        whole = [row.number for row in rows if row.hashes and len(row.hashes) == TILE_WIDTH * HASH_BYTES]
        if whole != list(range(first, first + count)):
            raise LogDamaged(tenant, f"a tile of level {level} is missing or not whole")
        return [row.hashes for row in rows]

    async def grow(self, growths: Sequence[Growth]) -> None:
        """Write tiles, checkpoints and sizes in one transaction. Raises GrowthRefused."""
        try:
            async with self._connection.transaction():
                await self._insert_tiles(growths)
                await self._insert_checkpoints(growths)
                await self._integrate(growths)
        except psycopg.IntegrityError as error:
            raise GrowthRefused(f"its rows meet others ({error.diag.constraint_name})") from error

    async def _insert_tiles(self, growths: Sequence[Growth]) -> None:
        tiles = [(growth.tenant, at, hashes) for growth in growths for at, hashes in growth.tiles]
        if tiles:
            parameters = (
                uuids([tenant for tenant, _, _ in tiles]),
                smallints([at.level for _, at, _ in tiles]),
                bigints([at.index for _, at, _ in tiles]),
                byteas([hashes for _, _, hashes in tiles]),
            )
            await self._tx.execute(_INSERT_TILES, parameters)

    async def _insert_checkpoints(self, growths: Sequence[Growth]) -> None:
        parameters = (
            uuids([growth.tenant for growth in growths]),
            bigints([growth.size for growth in growths]),
            byteas([growth.root for growth in growths]),
            texts([growth.note for growth in growths]),
        )
        await self._tx.execute(_INSERT_CHECKPOINTS, parameters)

    async def _integrate(self, growths: Sequence[Growth]) -> None:
        parameters = (
            uuids([growth.tenant for growth in growths]),
            bigints([growth.before for growth in growths]),
            bigints([growth.size for growth in growths]),
        )
        if await self._tx.execute(_INTEGRATE, parameters) != len(growths):
            raise GrowthRefused("its size is not what it was")


class PostgresLedgers:
    """Gives the ledger to whoever holds the lock."""

    def __init__(self, database: CrossingDatabase) -> None:
        """Use `database` as the role audit_sequencer; one of its connections is held all the time."""
        self._database = database

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[PostgresLedger | None]:
        """Give the ledger to the one integrator; None while another has it. Raises DatabaseUnavailable."""
        async with self._database.lease() as connection:
            row = await Transaction(connection).fetch_one(_LOCK)
            if row is None or not row.mine:
                yield None
                return
            try:
                yield PostgresLedger(connection)
            finally:
                with contextlib.suppress(psycopg.Error):  # a lost connection has no lock either
                    await connection.execute(_UNLOCK)


def _hashes_in(row: bytes) -> list[bytes]:
    """Return the hashes that stand in a row."""
    return [row[at : at + HASH_BYTES] for at in range(0, len(row), HASH_BYTES)]
