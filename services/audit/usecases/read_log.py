"""Read a log as what it is made of: checkpoints, tiles, bundles of leaves, and proofs.

None of it identifies anybody, and whoever follows a log reads it all the time: such reads are told of
together, by reader and minute.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

from libs.kernel.actors import Actor
from libs.kernel.denials import Denials
from libs.kernel.ids import TenantId
from libs.merkle.errors import TileRefused
from libs.merkle.tile_proofs import (
    HashSource,
    consistency_from_tiles,
    inclusion_from_tiles,
    tiles_for_consistency,
    tiles_for_inclusion,
)
from libs.merkle.tiles import TILE_WIDTH, EntriesAt, TileAt, entry_bundle, parse_path, width_of
from services.audit.domain.errors import EntryNotFound, RangeRefused
from services.audit.domain.reading import READ_LOG, PublishedCheckpoint
from services.audit.ports.reading import Database, LogReader
from services.audit.usecases.access import Access

_MOST_PATH: Final = 100


class Resource(NamedTuple):
    """A tile or a bundle of leaves; a full one never changes, and no other ever takes its path."""

    content: bytes
    full: bool


class Proof(NamedTuple):
    """The hashes of a proof, between two sizes, or from an index to a size."""

    lower: int
    size: int
    hashes: list[bytes]


@dataclass(frozen=True, slots=True)
class ReadLog:
    """Gives those who may read all of a log, their tenant's or the platform's, what it is made of.

    Every method raises EntryNotFound for everybody else, and LogDamaged where the log is not whole. `reads`
    counts who reads which log.
    """

    database: Database
    access: Access
    reads: Denials

    async def checkpoint(self, actor: Actor, log: TenantId) -> PublishedCheckpoint:
        """Return the largest checkpoint. Raises EntryNotFound before the first."""
        self._access(actor, log)
        async with self.database.begin(log) as tx:
            found = await tx.log.find_checkpoint()
        if found is None:
            raise EntryNotFound("checkpoint")
        return found

    async def checkpoints(
        self, actor: Actor, log: TenantId, after: int, limit: int
    ) -> list[PublishedCheckpoint]:
        """Return up to `limit` checkpoints of sizes beyond `after`, smallest first."""
        self._access(actor, log)
        async with self.database.begin(log) as tx:
            return await tx.log.checkpoints(after, limit)

    async def resource(self, actor: Actor, log: TenantId, path: str) -> Resource:
        """Return what lies at `path` (`tile/…`). Raises EntryNotFound beyond the largest checkpoint."""
        self._access(actor, log)
        at = _named(path)
        level = at.level if isinstance(at, TileAt) else 0
        async with self.database.begin(log) as tx:
            if at.width > width_of(level, at.index, await _size_of(tx.log)):
                raise EntryNotFound("tile")
            if isinstance(at, TileAt):
                return Resource((await tx.log.tiles([at]))[at], at.full)
            leaves = await tx.log.leaves(at.index * TILE_WIDTH, at.width)
        return Resource(entry_bundle(leaves), at.full)

    async def inclusion(self, actor: Actor, log: TenantId, index: int, size: int | None) -> Proof:
        """Return the inclusion proof of an index in the tree of `size`, or of the largest checkpoint.

        Raises RangeRefused.
        """
        return await self._proof(
            actor,
            log,
            index,
            size,
            tiles_for_inclusion,
            lambda source, size: inclusion_from_tiles(source, index, size),
        )

    async def consistency(self, actor: Actor, log: TenantId, first: int, second: int | None) -> Proof:
        """Return the proof that the tree of `second`, or of the largest checkpoint, extends that of `first`.

        Raises RangeRefused.
        """
        return await self._proof(
            actor,
            log,
            first,
            second,
            tiles_for_consistency,
            lambda source, size: consistency_from_tiles(source, first, size),
        )

    def _access(self, actor: Actor, log: TenantId) -> None:
        """Return if the actor may read that log, and count that he does. Raises EntryNotFound."""
        self.access.access_log(actor, log, READ_LOG)
        self.reads.note(actor.tenant, actor.principal, str(log))

    async def _proof(
        self,
        actor: Actor,
        log: TenantId,
        lower: int,
        size: int | None,
        tiles_for: Callable[[int, int], Collection[TileAt]],
        proof_from: Callable[[HashSource, int], list[bytes]],
    ) -> Proof:
        self._access(actor, log)
        async with self.database.begin(log) as tx:
            covered = await _size_of(tx.log)
            size = covered if size is None else size
            wanted = _tiles_within(tiles_for, lower, size, covered)
            tiles = await tx.log.tiles(wanted)
        return Proof(lower, size, proof_from(tiles.__getitem__, size))


def _tiles_within(
    tiles_for: Callable[[int, int], Collection[TileAt]], lower: int, size: int, covered: int
) -> Collection[TileAt]:
    """Return the tiles of a proof within what a checkpoint covers. Raises RangeRefused."""
    if size > covered:
        raise RangeRefused(covered)
    try:
        return tiles_for(lower, size)
    except IndexError:
        raise RangeRefused(covered) from None


def _named(path: str) -> TileAt | EntriesAt:
    """Return what a path names. Raises EntryNotFound for a path of nothing."""
    if len(path) > _MOST_PATH:
        raise EntryNotFound("tile")
    try:
        return parse_path(path)
    except TileRefused:
        raise EntryNotFound("tile") from None


async def _size_of(log: LogReader) -> int:
    checkpoint = await log.find_checkpoint()
    return 0 if checkpoint is None else checkpoint.size
