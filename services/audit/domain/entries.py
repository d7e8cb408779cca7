"""Facts as sources tell them, and entries of a log as they are kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.kernel.ids import TenantId
from services.audit.domain.leaves import commit_to_detail, detail_object_of, leaf_of

SALT_BYTES = 16


class EntityNamed(NamedTuple):
    """What was acted on."""

    kind: str
    id: str


class RunNamed(NamedTuple):
    """Entries `first` to `last` (both included) of a conversation."""

    conversation: UUID
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Detail:
    """What an entry commits to: who did what to what; ids alone."""

    action: str
    actor_kind: str
    actor_id: UUID | None
    actor_name: str | None
    at: datetime
    outcome: str
    count: int
    matter: UUID | None
    approvals: tuple[UUID, ...]
    entities: tuple[EntityNamed, ...]
    runs: tuple[RunNamed, ...]
    visibility: str


class SourcedFact(NamedTuple):
    """A fact with its place in the outbox of its source: that place is what makes it one fact."""

    tenant: TenantId
    fact: UUID
    source: str
    part: int
    position: int
    root: bytes | None
    detail: Detail


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact with its index in its tenant's log, and the leaf that the tree is over."""

    tenant: TenantId
    index: int
    leaf: bytes
    fact: UUID
    source: str
    part: int
    position: int
    salt: bytes
    detail: Detail


def entries_of(facts: Sequence[SourcedFact], first: int, salts: Iterable[bytes]) -> list[Entry]:
    """Return `facts` of one tenant as the entries `first`, `first` + 1, … of its log, a salt to each."""
    return [
        _entry_of(fact, index, salt)
        for index, (fact, salt) in enumerate(zip(facts, salts, strict=True), start=first)
    ]


def unrepeated(entities: Iterable[tuple[str, str]]) -> tuple[EntityNamed, ...]:
    """Return the entities in their order, each once."""
    return tuple(dict.fromkeys(EntityNamed(kind, name) for kind, name in entities))


def _entry_of(fact: SourcedFact, index: int, salt: bytes) -> Entry:
    detail = fact.detail
    commitment = commit_to_detail(
        detail_object_of(
            action=detail.action,
            actor_kind=detail.actor_kind,
            actor_id=detail.actor_id,
            actor_name=detail.actor_name,
            approvals=detail.approvals,
            count=detail.count,
            entities=detail.entities,
            matter=detail.matter,
            outcome=detail.outcome,
            runs=detail.runs,
        ),
        salt,
    )
    leaf = leaf_of(
        tenant=fact.tenant,
        index=index,
        fact=fact.fact,
        source=fact.source,
        part=fact.part,
        position=fact.position,
        at=detail.at,
        detail=commitment,
        root=fact.root,
    )
    return Entry(fact.tenant, index, leaf, fact.fact, fact.source, fact.part, fact.position, salt, detail)
