"""What the rows of a log say beside its leaves, and how it differs from what the leaves say."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.evidence.detail import Detail, opened
from libs.evidence.errors import EvidenceRefused, LogRefused
from libs.evidence.leaf import Leaf, parse_leaf
from libs.kernel.ids import TenantId
from libs.merkle.hashing import leaf_hash
from libs.merkle.tiles import TILE_HEIGHT


@dataclass(frozen=True, slots=True)
class DetailRows:
    """The rows of a detail: its object, its salt, the places of its entities, and its time.

    A time that this calendar does not have is None.
    """

    detail: dict[str, object]
    salt: bytes
    places: tuple[int, ...]
    at: datetime | None


@dataclass(frozen=True, slots=True)
class EntryRows:
    """The rows of one entry: its leaf, the columns that repeat something of it, and its detail."""

    leaf: bytes
    leaf_hash: bytes
    fact: UUID
    source: str
    part: int
    position: int
    detail: DetailRows | None


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows a table has of a log, and the index of the first that is out of place, if one is."""

    table: str
    rows: int
    stray: int | None


@dataclass(frozen=True, slots=True)
class Extent:
    """What a log says of its own size, and what its tables hold."""

    sequenced: int
    integrated: int
    entries: Count
    details: Count
    entities: Count
    tiles: Count

    def counts(self) -> Iterator[tuple[Count, int]]:
        """Give each table whose size follows from the log's own, and that size."""
        yield self.entries, self.sequenced
        yield self.details, self.sequenced
        yield self.tiles, full_tiles(self.integrated)


def full_tiles(size: int) -> int:
    """Return how many full tiles a tree of `size` has, at all levels."""
    tiles = 0
    while size := size >> TILE_HEIGHT:
        tiles += size
    return tiles


def detail_in(stored: EntryRows, leaf: Leaf) -> Detail:
    """Return the detail that the rows of an entry hold.

    Raises LogRefused for rows that say anything else than the leaf does or commits to.
    """
    repeated = {
        "fact": (stored.fact, leaf.fact),
        "source": (stored.source, leaf.source),
        "part": (stored.part, leaf.part),
        "position": (stored.position, leaf.position),
        "leaf_hash": (stored.leaf_hash, leaf_hash(stored.leaf)),
    }
    for column, (said, meant) in repeated.items():
        if said != meant:
            raise _bad(leaf.index, f"has another {column} beside its leaf")
    if stored.detail is None:
        raise _bad(leaf.index, "has no detail")
    return _opened_detail(stored.detail, leaf)


def leaf_in(stored: EntryRows, log: TenantId, index: int) -> Leaf:
    """Return the leaf of an entry that no tree has yet. Raises LogRefused when it is none of this place."""
    try:
        leaf = parse_leaf(stored.leaf)
    except EvidenceRefused as refused:
        raise LogRefused(f"entry {index}: {refused.reason}", f"entry {index}", index) from None
    if (leaf.log, leaf.index) != (log, index):
        raise _bad(index, f"says that it is entry {leaf.index} of the log {leaf.log}")
    return leaf


def refuse_other_extent(extent: Extent, published: int, entities: int) -> None:
    """Refuse rows that nothing accounts for, and sizes that are none. Raises LogRefused.

    `published` is the size of the largest checkpoint (0: there is none), `entities` how many there are of
    all details.
    """
    if extent.integrated != published:
        index = min(extent.integrated, published)
        said = f"{extent.integrated} entries are said to be in the tree, and {published} are signed for"
        raise LogRefused(said, "log", index)
    for count, expected in ((extent.entities, entities), *extent.counts()):
        if count.stray is not None:
            raise LogRefused(
                f"{count.table} has a row for entry {count.stray}, which is not there",
                count.table,
                count.stray,
            )
        if count.rows != expected:
            raise LogRefused(f"{count.table} has {count.rows} rows, and {expected} are due", count.table)


def _opened_detail(stored: DetailRows, leaf: Leaf) -> Detail:
    if stored.at != leaf.at:
        raise _bad(leaf.index, "has another time beside its detail than in its leaf")
    if stored.places != tuple(range(len(stored.places))):
        raise _bad(leaf.index, "has entities that are not in a row")
    try:
        return opened(stored.detail, stored.salt, leaf.detail, "detail")
    except EvidenceRefused as refused:
        where = f"{refused.where} of entry {leaf.index}"
        raise LogRefused(f"entry {leaf.index}: {refused.reason}", where, leaf.index) from None


def _bad(index: int, how: str) -> LogRefused:
    return LogRefused(f"entry {index} {how}", f"entry {index}", index)
