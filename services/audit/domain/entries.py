"""Facts as sources tell them, and entries of a log as they are kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.evidence.detail import Detail, detail_commitment
from libs.evidence.leaf import Leaf, leaf_of
from libs.kernel.ids import TenantId


class SourcedFact(NamedTuple):
    """A fact with its place in the outbox of its source: that place is what makes it one fact."""

    tenant: TenantId
    fact: UUID
    source: str
    part: int
    position: int
    root: bytes | None
    at: datetime
    detail: Detail


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact with its index in its tenant's log, its detail's salt, and the leaf that the tree is over."""

    fact: SourcedFact
    index: int
    salt: bytes
    leaf: bytes


def entries_of(facts: Sequence[SourcedFact], first: int, salts: Iterable[bytes]) -> list[Entry]:
    """Return `facts` of one tenant as the entries `first`, `first` + 1, … of its log, a salt to each."""
    return [
        Entry(fact, index, salt, _leaf_of(fact, index, salt))
        for index, (fact, salt) in enumerate(zip(facts, salts, strict=True), start=first)
    ]


def _leaf_of(fact: SourcedFact, index: int, salt: bytes) -> bytes:
    return leaf_of(
        Leaf(
            log=fact.tenant,
            index=index,
            fact=fact.fact,
            source=fact.source,
            part=fact.part,
            position=fact.position,
            at=fact.at,
            detail=detail_commitment(fact.detail, salt),
            root=fact.root,
        )
    )
