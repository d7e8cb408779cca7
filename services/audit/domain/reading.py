"""Who reads a log, what he asks for, and what he is shown."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from libs.evidence import detail
from libs.kernel.ids import PrincipalId, TenantId

PLATFORM: Final = TenantId(UUID(int=0))
"""Whose log is the platform's own."""
CLASSES: Final = ("operations", "legal", "platform")
"""The classes of details; who may see which is the policies' to say."""

SEE_DETAIL: Final = "SeeDetail"
READ_LOG: Final = "ReadLog"
TAKE_EVIDENCE: Final = "TakeEvidence"
"""Acts as the policies name them."""
LOG_READ: Final = "audit.log.read"
ENTRIES_SEARCHED: Final = "audit.entries.searched"
EVIDENCE_TAKEN: Final = "audit.evidence.taken"
ACCESS_DENIED: Final = "audit.access.denied"
"""Acts as the log itself names them."""


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

    def said(self) -> str:
        """Return what was asked for as the text of a query, for those who investigate a reading."""
        asked = {
            "actor": self.actor,
            "action": self.action,
            "entity_kind": self.entity_kind,
            "entity": self.entity,
            "matter": self.matter,
            "since": None if self.since is None else self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
        }
        return urlencode({name: value for name, value in asked.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` entries with an index below `size`, in order, from beyond the index `beyond` on."""

    size: int
    limit: int
    beyond: int | None = None
    newest_first: bool = True


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

    def detail(self) -> detail.Detail:
        """Return the detail as the leaf commits to it."""
        entry = self.entry
        return detail.Detail(
            action=entry.action,
            actor=detail.Actor(entry.actor_kind, _text_of(entry.actor_id), entry.actor_name),
            outcome=entry.outcome,
            visibility=entry.visibility,
            count=entry.count,
            approvals=tuple(map(str, entry.approvals)),
            entities=tuple(detail.Entity(kind, name) for kind, name in entry.entities),
            matter=_text_of(entry.matter),
            runs=tuple(detail.Run(str(where), first, last) for where, first, last in entry.runs),
        )


class FoundAct(NamedTuple):
    """An act that was found by its id: the leaf of its entry, and what that commits to."""

    act: UUID
    leaf: bytes
    detail: StoredDetail


class PublishedCheckpoint(NamedTuple):
    """A signed statement about the log of `size` entries: its root (32 bytes) and its note."""

    size: int
    root: bytes
    note: str


class Reading(NamedTuple):
    """A read of a log that is an act of its own: who did what, what of, and how often (within a minute)."""

    reading: UUID
    principal: PrincipalId | None
    action: str
    log: TenantId
    said: str
    at: datetime
    times: int = 1


def _text_of(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)
