"""Who reads a log, what he asks for, and why he may be refused."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from libs.kernel.errors import DomainError
from libs.kernel.ids import PrincipalId, TenantId

PLATFORM: Final = TenantId(UUID(int=0))
"""Whose log is the platform's own."""
CLASSES: Final = ("operations", "legal", "platform")
"""The classes of details; who may see which is the policies' to say."""

SEE_DETAIL: Final = "SeeDetail"
READ_LOG: Final = "ReadLog"
TAKE_EVIDENCE: Final = "TakeEvidence"
SEARCH: Final = "SearchEntries"


@dataclass(eq=False)
class EntryNotFound(DomainError):
    """There is nothing of that kind for this reader: absent and forbidden are one answer."""

    what: str


@dataclass(eq=False)
class NotYetPublished(DomainError):
    """The entry has its index, and no checkpoint covers it yet: that takes a second."""

    retry_after_seconds: int = 1


@dataclass(eq=False)
class RangeRefused(DomainError):
    """A size, an index or a range that the published log of `size` entries has not."""

    size: int


@dataclass(eq=False)
class RangeTooLong(DomainError):
    """More entries are asked for at once than are given at once."""

    most: int


class Actor(Protocol):
    """A principal acting in a session; the verified access token's actor is one."""

    @property
    def tenant(self) -> TenantId:
        """The tenant."""
        ...

    @property
    def principal(self) -> PrincipalId:
        """The person."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """The roles."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What is acted on: its kind, its tenant, and the names of the facts that hold of it."""

    kind: str
    tenant: TenantId
    holding: frozenset[str] = frozenset()


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
    at: datetime


class Reading(NamedTuple):
    """A read of a log that is an act of its own: who did what, and what of."""

    reading: UUID
    principal: PrincipalId | None
    action: str
    log: TenantId
    said: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Acts:
    """How many acts of one kind a tenant's domain rows tell of."""

    action: str
    tenant: TenantId
    count: int


@dataclass(frozen=True, slots=True)
class CountedActs:
    """The acts of a source by its domain rows, and the heads of its outbox in the same snapshot."""

    positions: dict[int, int]
    acts: tuple[Acts, ...]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """`acts` were done and `entries` are in the log; `action` is None where leaves were counted."""

    source: str
    tenant: TenantId
    action: str | None
    acts: int
    entries: int


def disagreements_of(
    source: str, counted: CountedActs, details: dict[tuple[TenantId, str], int], leaves: dict[TenantId, int]
) -> list[Disagreement]:
    """Return where the acts of `source` differ from its entries, by details (tenant, action) or by leaves."""
    by_action: dict[tuple[TenantId, str], int] = {}
    by_tenant: dict[TenantId, int] = {}
    for act in counted.acts:
        key = (act.tenant, act.action)
        by_action[key] = by_action.get(key, 0) + act.count
        by_tenant[act.tenant] = by_tenant.get(act.tenant, 0) + act.count
    found = [
        Disagreement(
            source, tenant, action, by_action.get((tenant, action), 0), details.get((tenant, action), 0)
        )
        for tenant, action in sorted(by_action.keys() | details.keys())
        if by_action.get((tenant, action), 0) != details.get((tenant, action), 0)
    ]
    found += [
        Disagreement(source, tenant, None, by_tenant.get(tenant, 0), leaves.get(tenant, 0))
        for tenant in sorted(by_tenant.keys() | leaves.keys())
        if by_tenant.get(tenant, 0) != leaves.get(tenant, 0)
    ]
    return found
