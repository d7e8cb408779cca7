"""What an outbox holds: numbered references to acts, in partitions ordered as their commits were."""

from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from libs.contracts.streams import PARTITIONS
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


def partition_of(*keys: UUID) -> int:
    """Return the partition, 0..63, of what the keys name together; stable for ever.

    The first 8 bytes, big-endian, of BLAKE2b over the framed 16-byte keys, modulo 64.
    """
    digest = blake2b(framed(*(key.bytes for key in keys)), digest_size=8).digest()
    return int.from_bytes(digest) % PARTITIONS
