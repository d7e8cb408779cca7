"""What an outbox holds: numbered references to acts, in partitions ordered as their commits were."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from libs.contracts.streams import PARTITIONS, Lane, lane_of
from libs.kernel.framing import framed
from libs.kernel.ids import TenantId

Cursors = dict[int, int]
"""Partition → position of the last event that was taken into account there."""


class OutboxRecord(NamedTuple):
    """One event to append: its partition (0..63), its tenant, its name and its encoded CloudEvent."""

    part: int
    tenant: TenantId
    name: str
    body: bytes


class StreamRecord(NamedTuple):
    """One event as a consumer reads it; `position` is dense within `part`, from 1."""

    part: int
    position: int
    tenant: TenantId
    name: str
    body: bytes

    @property
    def first(self) -> int:
        """Return the first position that it stands for: its own."""
        return self.position


class Passage(NamedTuple):
    """The positions `first` to `position` (both included) of a partition, which are in another lane."""

    part: int
    first: int
    position: int


StreamItem = StreamRecord | Passage
"""What a lane holds."""


def dense_after(cursor: int, items: Sequence[StreamItem]) -> list[StreamItem]:
    """Return the longest run of one partition's `items` that goes on behind `cursor` without a gap."""
    dense: list[StreamItem] = []
    for item in items:
        if not item.first <= cursor + 1 <= item.position:
            break
        dense.append(item)
        cursor = item.position
    return dense


def in_lane(records: Iterable[StreamRecord], lane: Lane) -> list[StreamItem]:
    """Return the records of one partition, in order, as `lane` holds them."""
    return [
        record if lane_of(record.name) is lane else Passage(record.part, record.position, record.position)
        for record in records
    ]


def partition_of(*keys: UUID) -> int:
    """Return the partition, 0..63, of what the keys name together; stable for ever.

    The first 8 bytes, big-endian, of BLAKE2b over the framed 16-byte keys, modulo 64.
    """
    digest = blake2b(framed(*(key.bytes for key in keys)), digest_size=8).digest()
    return int.from_bytes(digest) % PARTITIONS
