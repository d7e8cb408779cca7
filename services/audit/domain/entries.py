"""Facts as sources tell them, and entries of a log as they are kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.evidence.detail import Detail, detail_commitment
from libs.evidence.leaf import leaf_bytes
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


class Salted(NamedTuple):
    """A fact with its detail's salt and commitment: all of an entry that does not depend on its index."""

    fact: SourcedFact
    salt: bytes
    commitment: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact with its index in its tenant's log, its detail's salt, and the leaf that the tree is over."""

    fact: SourcedFact
    index: int
    salt: bytes
    leaf: bytes


def salted(facts: Sequence[SourcedFact], salts: Iterable[bytes]) -> list[Salted]:
    """Commit to the details of `facts`, under a salt each."""
    return [
        Salted(fact, salt, detail_commitment(fact.detail, salt))
        for fact, salt in zip(facts, salts, strict=True)
    ]


def entries_of(facts: Sequence[Salted], first: int) -> list[Entry]:
    """Return `facts` of one tenant as the entries `first`, `first` + 1, … of its log."""
    return [
        Entry(fact.fact, index, fact.salt, _leaf_of(fact, index)) for index, fact in enumerate(facts, first)
    ]


def _leaf_of(salted: Salted, index: int) -> bytes:
    fact = salted.fact
    return leaf_bytes(
        fact.tenant,
        index,
        fact.fact,
        fact.source,
        fact.part,
        fact.position,
        fact.at,
        salted.commitment,
        fact.root,
    )
