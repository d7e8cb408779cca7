"""A log's tree at its right edge: what growing it needs, and the full tiles that growing completes.

Source: C2SP tlog-tiles; a tile of level L + 1 is over the roots of the tiles of level L.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from libs.merkle.compact_range import CompactRange
from libs.merkle.hashing import HASH_BYTES
from libs.merkle.tree import root_of

TILE_WIDTH: Final = 256


class FullTile(NamedTuple):
    """256 hashes of one level, from the number `number` * 256 on."""

    level: int
    number: int
    hashes: bytes


@dataclass(slots=True)
class GrowingTree:
    """`size` leaves; of each level the hashes behind its last full tile, of all their subtrees' roots."""

    size: int = 0
    edges: list[list[bytes]] = field(default_factory=list)
    _range: CompactRange = field(default_factory=CompactRange)

    @classmethod
    def restored(cls, size: int, edges: Sequence[Sequence[bytes]]) -> Self:
        """Return the tree of `size` leaves whose partial tiles, level 0 first, hold `edges`.

        Raises ValueError when they are not those of a tree of this size.
        """
        widths = edge_widths(size)
        if [len(edge) for edge in edges] != widths:
            msg = f"a tree of {size} leaves ends in partial tiles of {widths}"
            raise ValueError(msg)
        subtrees = [root for edge in reversed(edges) for root in _subtrees_of(edge)]
        return cls(size, [list(edge) for edge in edges], CompactRange(size, subtrees))

    def append(self, leaf_hashes: Iterable[bytes]) -> list[FullTile]:
        """Add leaf hashes on the right; return the tiles that are full now, lower ones first."""
        completed: list[FullTile] = []
        for leaf_hash in leaf_hashes:
            self._range.append(leaf_hash)
            self.size += 1
            self._carry(leaf_hash, completed)
        return completed

    def root(self) -> bytes:
        """Return the 32-byte root of the tree as it stands."""
        return self._range.root()

    def _carry(self, value: bytes, completed: list[FullTile]) -> None:
        level = 0
        while True:
            if level == len(self.edges):
                self.edges.append([])
            edge = self.edges[level]
            edge.append(value)
            if len(edge) < TILE_WIDTH:
                return
            number = (self.size >> 8 * (level + 1)) - 1
            completed.append(FullTile(level, number, b"".join(edge)))
            value = root_of(edge)
            edge.clear()
            level += 1


def edge_widths(size: int) -> list[int]:
    """Return how many hashes the partial tile of each level holds in a tree of `size`, level 0 first."""
    widths: list[int] = []
    while size:
        widths.append(size % TILE_WIDTH)
        size //= TILE_WIDTH
    return widths


def hashes_in(tile: bytes) -> list[bytes]:
    """Return the hashes of a tile, 32 bytes each."""
    return [tile[start : start + HASH_BYTES] for start in range(0, len(tile), HASH_BYTES)]


def tile_root(tile: bytes) -> bytes:
    """Return the hash that a full tile has in the level above."""
    return root_of(hashes_in(tile))


def _subtrees_of(edge: Sequence[bytes]) -> list[bytes]:
    """Return the roots of the full subtrees over `edge`, largest first."""
    return CompactRange.over(edge).subtrees
