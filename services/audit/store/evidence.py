"""What the log is made of: checkpoints, tiles, leaves, and what a leaf commits to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from libs.db.pool import Row, Transaction
from libs.kernel.ids import TenantId
from libs.merkle.hashing import leaf_hash
from libs.merkle.tiles import TILE_WIDTH, TileAt, tile_root
from services.audit.domain.errors import LogDamaged
from services.audit.domain.reading import FoundAct, FoundEntry, PublishedCheckpoint, StoredDetail
from services.audit.store.search import PostgresSearch, entry_of

_LATEST: Final = """
SELECT size, root, note FROM audit.checkpoint WHERE tenant = %s ORDER BY size DESC LIMIT 1
"""
_CHECKPOINT: Final = """
SELECT size, root, note FROM audit.checkpoint WHERE tenant = %s AND size = %s
"""
_CHECKPOINTS: Final = """
SELECT size, root, note FROM audit.checkpoint WHERE tenant = %s AND size > %s ORDER BY size LIMIT %s
"""
_LEAVES: Final = """
SELECT index, leaf FROM audit.entry WHERE tenant = %s AND index >= %s AND index < %s ORDER BY index
"""
_FULL_TILES: Final = """
SELECT level, number, hashes FROM audit.tile
 WHERE tenant = %s AND (level, number) IN (SELECT * FROM unnest(%s::smallint[], %s::bigint[]))
"""
_ROOTS: Final = """
SELECT number, hashes FROM audit.tile
 WHERE tenant = %s AND level = %s AND number >= %s AND number < %s ORDER BY number
"""
_DETAILS: Final = """
SELECT e.index, e.fact, e.source, d.at, d.action, d.visibility, d.actor_kind, d.actor_id, d.actor_name,
       d.outcome, d.count, d.matter, d.approvals, d.runs, d.salt
  FROM audit.detail d JOIN audit.entry e ON e.tenant = d.tenant AND e.index = d.index
 WHERE d.tenant = %s AND d.index >= %s AND d.index <= %s AND d.visibility = ANY(%s::text[])
"""

_ACTS: Final = """
SELECT e.leaf, x.id AS act, e.index, e.fact, e.source, d.at, d.action, d.visibility, d.actor_kind, d.actor_id,
       d.actor_name, d.outcome, d.count, d.matter, d.approvals, d.runs, d.salt
  FROM audit.detail_entity x
  JOIN audit.detail d ON d.tenant = x.tenant AND d.index = x.index
  JOIN audit.entry e ON e.tenant = x.tenant AND e.index = x.index
 WHERE x.tenant = %(tenant)s AND x.kind = ANY(%(kinds)s::text[]) AND x.id = ANY(%(acts)s::text[])
   AND x.index < %(size)s AND e.source = %(source)s AND d.action = ANY(%(actions)s::text[])
 ORDER BY x.index
"""
_MADE: Final = ("commit", "map")
"""Entities that have the id of the act that made them."""


class PostgresEvidence:
    """One log as it was published."""

    def __init__(self, tx: Transaction, tenant: TenantId) -> None:
        """Speak through `tx`, which row-level security binds to `tenant`."""
        self._tx = tx
        self._tenant = tenant

    async def find_checkpoint(self, size: int | None = None) -> PublishedCheckpoint | None:
        """Return the checkpoint of that size, or the largest; None when there is none."""
        if size is None:
            row = await self._tx.fetch_one(_LATEST, (self._tenant,))
        else:
            row = await self._tx.fetch_one(_CHECKPOINT, (self._tenant, size))
        return None if row is None else _checkpoint_of(row)

    async def checkpoints(self, after: int, limit: int) -> list[PublishedCheckpoint]:
        """Return the checkpoints of sizes beyond `after`, smallest first."""
        rows = await self._tx.fetch_all(_CHECKPOINTS, (self._tenant, after, limit))
        return [_checkpoint_of(row) for row in rows]

    async def leaves(self, first: int, count: int) -> list[bytes]:
        """Return `count` leaves from the index `first` on, in order. Raises LogDamaged at a gap."""
        rows = await self._tx.fetch_all(_LEAVES, (self._tenant, first, first + count))
        for expected, row in enumerate(rows, start=first):
            if row.index != expected:
                raise LogDamaged(self._tenant, "an entry is missing", expected)
        if len(rows) != count:
            raise LogDamaged(self._tenant, "an entry is missing", first + len(rows))
        return [row.leaf for row in rows]

    async def tiles(self, wanted: Collection[TileAt]) -> Mapping[TileAt, bytes]:
        """Return these tiles: full ones as they are stored, others from what lies below them."""
        full = [at for at in wanted if at.full]
        found = await self._full_tiles(full)
        for at in wanted:
            if not at.full:
                found[at] = await self._partial_tile(at)
        for at in wanted:
            if at not in found:
                raise LogDamaged(self._tenant, "a tile is missing", at.index * TILE_WIDTH ** (at.level + 1))
        return found

    async def details(self, first: int, last: int, shown: Collection[str]) -> dict[int, StoredDetail]:
        """Return what the entries from `first` to `last` tell, of the classes `shown` alone."""
        rows = await self._tx.fetch_all(_DETAILS, (self._tenant, first, last, sorted(shown)))
        entities = await PostgresSearch(self._tx, self._tenant).entities_of([row.index for row in rows])
        return {row.index: StoredDetail(_entry_with(row, entities), row.salt) for row in rows}

    async def acts(
        self, source: str, actions: Collection[str], acts: Collection[UUID], size: int
    ) -> list[FoundAct]:
        """Return those of `acts` that `source` told of, by index below `size`, of these kinds alone."""
        wanted = {
            "tenant": self._tenant,
            "kinds": list(_MADE),
            "acts": [str(act) for act in acts],
            "size": size,
            "source": source,
            "actions": list(actions),
        }
        rows = await self._tx.fetch_all(_ACTS, wanted)
        entities = await PostgresSearch(self._tx, self._tenant).entities_of([row.index for row in rows])
        return [
            FoundAct(UUID(row.act), row.leaf, StoredDetail(_entry_with(row, entities), row.salt))
            for row in rows
        ]

    async def _full_tiles(self, wanted: Sequence[TileAt]) -> dict[TileAt, bytes]:
        if not wanted:
            return {}
        levels, numbers = [at.level for at in wanted], [at.index for at in wanted]
        rows = await self._tx.fetch_all(_FULL_TILES, (self._tenant, levels, numbers))
        return {TileAt(row.level, row.number): row.hashes for row in rows}

    async def _partial_tile(self, at: TileAt) -> bytes:
        first = at.index * TILE_WIDTH
        if at.level == 0:
            return b"".join([leaf_hash(leaf) for leaf in await self.leaves(first, at.width)])
        below = at.level - 1
        rows = await self._tx.fetch_all(_ROOTS, (self._tenant, below, first, first + at.width))
        if [row.number for row in rows] != list(range(first, first + at.width)):
            raise LogDamaged(self._tenant, "a tile is missing")
        return b"".join([tile_root(row.hashes) for row in rows])


def _entry_with(row: Row, entities: Mapping[int, tuple[tuple[str, str], ...]]) -> FoundEntry:
    return replace(entry_of(row), entities=entities.get(row.index, ()))


def _checkpoint_of(row: Row) -> PublishedCheckpoint:
    return PublishedCheckpoint(row.size, row.root, row.note)
