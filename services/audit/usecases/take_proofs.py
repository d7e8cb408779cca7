"""Give another service the leaves of messaging's commits, and of maps of conversations, with their proofs.

What is given is checked first as a stranger would check it. Each time is an act of its own, told once,
however many acts are asked for.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.evidence.completeness import CONVERSATIONS_COMMITTED
from libs.evidence.detail import detail_bytes
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from libs.merkle.errors import ProofRefused
from libs.merkle.hashing import leaf_hash
from libs.merkle.tile_proofs import inclusions_from_tiles, tiles_for_inclusion
from libs.merkle.verify import verify_inclusion
from services.audit.domain.errors import LogDamaged
from services.audit.domain.reading import EVIDENCE_TAKEN, FoundAct, PublishedCheckpoint, Reading
from services.audit.ports.reading import Database, LogReader
from services.audit.usecases.take_evidence import checkpoint_of, opened_detail
from services.audit.usecases.told import fact_of_reading

SOURCE: Final = "messaging"
ACTIONS: Final = ("messaging.entries.committed", CONVERSATIONS_COMMITTED)
"""Acts whose leaves carry a root."""


@dataclass(frozen=True, slots=True)
class ProvedAct:
    """The leaf of an act at its index, what leads to the checkpoint, and its detail with its salt."""

    act: UUID
    index: int
    leaf: bytes
    proof: tuple[bytes, ...]
    detail: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class TakeProofs:
    """Gives proofs of many acts of a tenant's log under one checkpoint."""

    database: Database
    clock: Clock
    ids: Ids

    async def __call__(
        self, service: str, tenant: TenantId, acts: Collection[UUID], size: int | None
    ) -> tuple[PublishedCheckpoint, list[ProvedAct]]:
        """Return the checkpoint of `size`, or the largest, and those of `acts` that it covers, by index.

        Raises EntryNotFound before the first checkpoint, RangeRefused for a size that none has, and
        LogDamaged when what is stored would not hold.
        """
        said = f"acts {len(acts)} for {service}"
        reading = Reading(self.ids.uuid7(), None, EVIDENCE_TAKEN, tenant, said, self.clock.now())
        async with self.database.begin(tenant) as tx:
            checkpoint = await checkpoint_of(tx.log, size)
            found = await tx.log.acts(SOURCE, ACTIONS, acts, checkpoint.size)
            proved = await _proved(tx.log, tenant, found, checkpoint)
            await tx.record_readings([(reading, fact_of_reading(reading, service))])
        return checkpoint, proved


async def _proved(
    log: LogReader, tenant: TenantId, found: list[FoundAct], checkpoint: PublishedCheckpoint
) -> list[ProvedAct]:
    indices = [each.detail.entry.index for each in found]
    tiles = await log.tiles({at for index in indices for at in tiles_for_inclusion(index, checkpoint.size)})
    proofs = inclusions_from_tiles(tiles.__getitem__, indices, checkpoint.size)
    return [_checked(tenant, each, proof, checkpoint) for each, proof in zip(found, proofs, strict=True)]


def _checked(
    tenant: TenantId, found: FoundAct, proof: list[bytes], checkpoint: PublishedCheckpoint
) -> ProvedAct:
    """Return an act with its proof. Raises LogDamaged for one that does not hold."""
    index = found.detail.entry.index
    try:
        verify_inclusion(
            leaf=leaf_hash(found.leaf),
            index=index,
            size=checkpoint.size,
            proof=proof,
            root=checkpoint.root,
        )
    except ProofRefused:
        raise LogDamaged(tenant, "the entry does not lead to the checkpoint", index) from None
    detail, salt = opened_detail(tenant, found.leaf, index, found.detail)
    return ProvedAct(found.act, index, found.leaf, tuple(proof), detail_bytes(detail), salt)
