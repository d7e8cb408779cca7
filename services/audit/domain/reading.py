"""What a reader of a log asks for, and what he is shown."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from libs.kernel.ids import PrincipalId, TenantId

CLASSES: Final = ("operations", "legal", "platform")
"""The classes of details; who may see which is the policies' to say."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """What is searched for; None means whatever. `since` is included, `until` is not."""

    actor: UUID | None = None
    action: str | None = None
    entity_kind: str | None = None
    entity: str | None = None
    matter: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """One entry with what it tells; `fact` is its name where its index must not be told."""

    index: int
    fact: UUID
    source: str
    at: datetime
    action: str
    visibility: str
    actor_kind: str
    actor_id: UUID | None
    actor_name: str | None
    outcome: str
    count: int
    matter: UUID | None
    approvals: tuple[UUID, ...]
    entities: tuple[tuple[str, str], ...] = ()
    runs: tuple[tuple[UUID, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class StoredDetail:
    """What a leaf commits to, with the salt of the commitment (16 bytes)."""

    entry: FoundEntry
    salt: bytes


class PublishedCheckpoint(NamedTuple):
    """A signed statement about the log of `size` entries: its root (32 bytes) and its note."""

    size: int
    root: bytes
    note: str


class Reading(NamedTuple):
    """A read of a log that is an act of its own: who did what, and what of."""

    reading: UUID
    principal: PrincipalId | None
    action: str
    log: TenantId
    said: str
    at: datetime
