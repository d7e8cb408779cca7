"""Take evidence out of a log: bundles that a stranger verifies without the platform.

What is given is checked first as the stranger would check it, and told of in the same transaction.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from libs.evidence.bundle import act_bundle, log_range_bundle
from libs.evidence.detail import Detail, detail_commitment
from libs.evidence.errors import EvidenceRefused
from libs.evidence.leaf import parse_leaf
from libs.kernel.actors import Actor
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from libs.merkle.errors import ProofRefused
from libs.merkle.hashing import leaf_hash
from libs.merkle.tile_proofs import range_from_tiles, tiles_for_range
from libs.merkle.verify import verify_range
from services.audit.domain.errors import EntryNotFound, LogDamaged, RangeRefused, RangeTooLong
from services.audit.domain.reading import (
    CLASSES,
    EVIDENCE_TAKEN,
    TAKE_EVIDENCE,
    PublishedCheckpoint,
    Reading,
    StoredDetail,
)
from services.audit.ports.reading import Database, LogReader, Transaction
from services.audit.usecases.access import Access
from services.audit.usecases.told import fact_of_reading

MOST_LEAVES: Final = 10_000
"""How many entries one bundle has at most."""


class _Stretch(NamedTuple):
    """Leaves in a row, with the proof that they stand where the checkpoint says."""

    leaves: list[bytes]
    proof: list[bytes]
    checkpoint: PublishedCheckpoint

    @property
    def note(self) -> bytes:
        return self.checkpoint.note.encode()


@dataclass(frozen=True, slots=True)
class TakeEvidence:
    """Gives those who may evidence of their tenant's log; each time is an act of its own.

    `size` names a published checkpoint by its size; without it the evidence leads to the largest. Every
    method raises EntryNotFound for who may not, RangeRefused for a size that no checkpoint has, and
    LogDamaged when what is stored would not hold.
    """

    database: Database
    access: Access
    clock: Clock
    ids: Ids

    async def of_act(self, actor: Actor, fact: UUID, *, detail: bool, size: int | None = None) -> bytes:
        """Return the bundle of the act of a fact. Raises EntryNotFound until the checkpoint covers it."""
        shown = self.access.find_classes(actor) if detail else frozenset(CLASSES)
        async with self._begun(actor, f"act {fact}") as tx:
            checkpoint = await checkpoint_of(tx.log, size)
            index = await tx.log.find_index(fact, shown, checkpoint.size)
            stretch, details = await _act(tx.log, actor.tenant, index, checkpoint, shown, detail=detail)
        return _act_bundle(stretch, details)

    async def of_entity(
        self, actor: Actor, kind: str, entity: str, *, detail: bool, size: int | None = None
    ) -> bytes:
        """Return the bundle of the first act that names an entity and that the actor may see."""
        shown = self.access.find_classes(actor)
        async with self._begun(actor, f"entity {kind} {entity}") as tx:
            checkpoint = await checkpoint_of(tx.log, size)
            index = await tx.log.find_index_naming(kind, entity, shown, checkpoint.size)
            stretch, details = await _act(tx.log, actor.tenant, index, checkpoint, shown, detail=detail)
        return _act_bundle(stretch, details)

    async def of_range(
        self, actor: Actor, first: int, last: int, *, details: bool, size: int | None = None
    ) -> bytes:
        """Return the bundle of the entries from `first` to `last`, with the details that the actor may see.

        Raises RangeTooLong for more than MOST_LEAVES, RangeRefused for entries that the log has not.
        """
        shown = self.access.find_classes(actor)
        async with self._begun(actor, f"range {first} {last}") as tx:
            checkpoint = await checkpoint_of(tx.log, size)
            if not first <= last < checkpoint.size:
                raise RangeRefused(checkpoint.size)
            if last - first >= MOST_LEAVES:
                raise RangeTooLong(MOST_LEAVES)
            stretch = await _stretch(tx.log, actor.tenant, first, last, checkpoint)
            stored = await tx.log.details(first, last, shown) if details else {}
            opened = _opened(actor.tenant, stretch.leaves, first, stored)
        return log_range_bundle(stretch.leaves, stretch.proof, stretch.note, details=opened)

    @asynccontextmanager
    async def _begun(self, actor: Actor, said: str) -> AsyncIterator[Transaction]:
        """Begin a transaction of evidence, which ends by telling of itself. Raises EntryNotFound."""
        self.access.access_log(actor, actor.tenant, TAKE_EVIDENCE)
        reading = Reading(
            self.ids.uuid7(), actor.principal, EVIDENCE_TAKEN, actor.tenant, said, self.clock.now()
        )
        async with self.database.begin(actor.tenant) as tx:
            yield tx
            await tx.record_readings([(reading, fact_of_reading(reading))])


@dataclass(frozen=True, slots=True)
class OwnEvidence:
    """Gives a service evidence of what it told of itself, for what it hands to those who may read it."""

    database: Database

    async def __call__(self, source: str, tenant: TenantId, kind: str, entity: str) -> bytes:
        """Return the bundle of the first act of `source` that names an entity, with its detail.

        Raises EntryNotFound until a checkpoint covers it and for an act that another service told of, and
        LogDamaged when what is stored would not hold.
        """
        shown = frozenset(CLASSES)
        async with self.database.begin(tenant) as tx:
            checkpoint = await checkpoint_of(tx.log, None)
            index = await tx.log.find_index_naming(kind, entity, shown, checkpoint.size)
            stretch, details = await _act(tx.log, tenant, index, checkpoint, shown, detail=True)
        (leaf,) = stretch.leaves
        if parse_leaf(leaf).source != source:
            raise EntryNotFound("entry")
        return _act_bundle(stretch, details)


async def checkpoint_of(log: LogReader, size: int | None) -> PublishedCheckpoint:
    """Return the checkpoint of `size`, or the largest.

    Raises RangeRefused for a size that none has, EntryNotFound before the first.
    """
    largest = await log.find_checkpoint()
    if largest is None:
        raise EntryNotFound("checkpoint")
    if size is None or size == largest.size:
        return largest
    found = await log.find_checkpoint(size)
    if found is None:
        raise RangeRefused(largest.size)
    return found


async def _act(
    log: LogReader,
    tenant: TenantId,
    index: int | None,
    checkpoint: PublishedCheckpoint,
    shown: frozenset[str],
    *,
    detail: bool,
) -> tuple[_Stretch, Mapping[int, tuple[Detail, bytes]]]:
    if index is None:
        raise EntryNotFound("entry")
    stretch = await _stretch(log, tenant, index, index, checkpoint)
    stored = await log.details(index, index, shown) if detail else {}
    return stretch, _opened(tenant, stretch.leaves, index, stored)


async def _stretch(
    log: LogReader, tenant: TenantId, first: int, last: int, checkpoint: PublishedCheckpoint
) -> _Stretch:
    """Return leaves with a proof that leads to the checkpoint. Raises LogDamaged when it does not."""
    leaves = await log.leaves(first, last - first + 1)
    tiles = await log.tiles(tiles_for_range(first, last, checkpoint.size))
    proof = range_from_tiles(tiles.__getitem__, first, last, checkpoint.size)
    hashes = [leaf_hash(leaf) for leaf in leaves]
    try:
        verify_range(leaves=hashes, first=first, size=checkpoint.size, proof=proof, root=checkpoint.root)
    except ProofRefused:
        raise LogDamaged(tenant, "entries or tiles do not lead to the checkpoint") from None
    return _Stretch(leaves, proof, checkpoint)


def _opened(
    tenant: TenantId, leaves: Sequence[bytes], first: int, stored: Mapping[int, StoredDetail]
) -> dict[int, tuple[Detail, bytes]]:
    """Return details with their salts, by ascending index. Raises LogDamaged for one that its leaf denies."""
    opened = {}
    for index in sorted(stored):
        opened[index] = opened_detail(tenant, leaves[index - first], index, stored[index])
    return opened


def opened_detail(tenant: TenantId, leaf: bytes, index: int, stored: StoredDetail) -> tuple[Detail, bytes]:
    """Return a detail with its salt. Raises LogDamaged when it is not the one that its leaf commits to."""
    detail, salt = stored.detail(), stored.salt
    try:
        held = parse_leaf(leaf).detail == detail_commitment(detail, salt)
    except EvidenceRefused:
        held = False
    if not held:
        raise LogDamaged(tenant, "the detail is not the one that the leaf commits to", index)
    return detail, salt


def _act_bundle(stretch: _Stretch, details: Mapping[int, tuple[Detail, bytes]]) -> bytes:
    (leaf,) = stretch.leaves
    detail, salt = next(iter(details.values()), (None, None))
    return act_bundle(leaf, stretch.proof, stretch.note, detail=detail, salt=salt)
