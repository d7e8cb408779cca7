"""The leaf of an act: ids of the log itself and a commitment, nothing that identifies a person.

A leaf is the canonical JSON (RFC 8785) of an object of fixed members, all of them ASCII without escapes.
Canonical form is therefore one pattern, which refuses every other spelling.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from libs.evidence.errors import EvidenceRefused
from libs.kernel.ids import text_of
from libs.merkle.tiles import MOST_ENTRY_BYTES

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NUMBER = "0|[1-9][0-9]{0,18}"
LEAF = re.compile(
    (
        r'\{"at":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6})Z","detail":"([0-9a-f]{64})",'
        rf'"fact":"({_UUID})","index":"({_NUMBER})","log":"({_UUID})","part":(0|[1-9][0-9]{{0,4}}),'
        rf'"position":"({_NUMBER})",(?:"root":"([0-9a-f]{{64}})",)?"source":"([a-z][a-z0-9-]{{0,63}})","v":1\}}'
    ).encode()
)
"""Canonical leaves; groups: at, detail, fact, index, log, part, position, root, source."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry of the log of the tenant `log`, at its dense `index` from 0.

    `fact` is the event that told of the act, at `position` of the outbox part `part` of `source`.
    `detail` is the commitment to what was done (32 bytes); `root` that of a commit of messaging or
    of a map of its conversations (32 bytes).
    """

    log: UUID
    index: int
    fact: UUID
    source: str
    part: int
    position: int
    at: datetime
    detail: bytes
    root: bytes | None = None


def leaf_of(leaf: Leaf) -> bytes:
    """Return the canonical bytes of a leaf. Raises EvidenceRefused for values that no leaf can have."""
    return leaf_bytes(
        leaf.log,
        leaf.index,
        leaf.fact,
        leaf.source,
        leaf.part,
        leaf.position,
        leaf.at,
        leaf.detail,
        leaf.root,
    )


def leaf_bytes(  # noqa: PLR0913, PLR0917 - the members of a leaf
    log: UUID,
    index: int,
    fact: UUID,
    source: str,
    part: int,
    position: int,
    at: datetime,
    detail: bytes,
    root: bytes | None,
) -> bytes:
    """Return the canonical bytes of the leaf with these members: sequencing needs no more of it.

    Raises EvidenceRefused for values that no leaf can have.
    """
    time = at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    root_member = f'"root":"{root.hex()}",' if root is not None else ""
    data = (
        f'{{"at":"{time}Z","detail":"{detail.hex()}","fact":"{text_of(fact)}","index":"{index}","log":"{text_of(log)}",'
        f'"part":{part},"position":"{position}",{root_member}"source":"{source}","v":1}}'
    ).encode()
    if LEAF.fullmatch(data) is None:
        raise EvidenceRefused("a leaf cannot have these values", f"entry {index}")
    return data


def parse_leaf(data: bytes) -> Leaf:
    """Read a leaf, in its one spelling. Raises EvidenceRefused for every other one."""
    found = LEAF.fullmatch(data) if len(data) <= MOST_ENTRY_BYTES else None
    if found is None:
        raise EvidenceRefused("the leaf is not canonical", "leaf")
    at, detail, fact, index, log, part, position, root, source = found.groups()
    return Leaf(
        log=UUID(log.decode()),
        index=int(index),
        fact=UUID(fact.decode()),
        source=source.decode(),
        part=int(part),
        position=int(position),
        at=instant_of(at),
        detail=bytes.fromhex(detail.decode()),
        root=bytes.fromhex(root.decode()) if root is not None else None,
    )


def instant_of(at: bytes) -> datetime:
    """Return the time of a leaf, aware. Raises EvidenceRefused for one that no clock shows."""
    try:
        return datetime.fromisoformat(at.decode()).replace(tzinfo=UTC)
    except ValueError:
        raise EvidenceRefused("the leaf has a time that no clock shows", "leaf") from None
