"""Tiles and bundles of entries: a log as files that never change. Source: C2SP tlog-tiles.

A tile holds up to 256 hashes of one level; each hash of level L + 1 is the root over one full tile of
level L. A bundle holds the up to 256 entries under a tile of level 0.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from libs.merkle.compact_range import CompactRange
from libs.merkle.errors import TileRefused
from libs.merkle.hashing import HASH_BYTES, are_hashes, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MOST_ENTRY_BYTES = 0xFFFF
MOST_LEVEL = 63

_LENGTH = struct.Struct(">H")
_PATH = re.compile(
    r"tile/(?P<level>entries|[0-9]|[1-5][0-9]|6[0-3])/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class TileAt:
    """Names a tile: the first `width` hashes of the 256 from `index` * 256 on, of `level`."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def full(self) -> bool:
        """Whether the tile can never grow."""
        return self.width == TILE_WIDTH

    @property
    def path(self) -> str:
        """Where the tile lies under the log's prefix."""
        return f"tile/{self.level}/{_numbered(self.index)}{_partial(self.width)}"


@dataclass(frozen=True, slots=True)
class EntriesAt:
    """Names a bundle: the first `width` entries of the 256 from `index` * 256 on."""

    index: int
    width: int = TILE_WIDTH

    @property
    def full(self) -> bool:
        """Whether the bundle can never grow."""
        return self.width == TILE_WIDTH

    @property
    def path(self) -> str:
        """Where the bundle lies under the log's prefix."""
        return f"tile/entries/{_numbered(self.index)}{_partial(self.width)}"


def parse_path(path: str) -> TileAt | EntriesAt:
    """Return what `path` (`tile/…`, as `path` writes it) names. Raises TileRefused for another spelling."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise TileRefused("this is not the path of a tile or of a bundle of entries")
    index = int(found["index"].replace("/", "").replace("x", ""))
    width = int(found["width"] or TILE_WIDTH)
    entries = found["level"] == "entries"
    named = EntriesAt(index, width) if entries else TileAt(int(found["level"]), index, width)
    if named.path != path:
        raise TileRefused("this is not the path of a tile or of a bundle of entries")
    return named


def width_of(level: int, index: int, size: int) -> int:
    """Return how many hashes tile `index` of `level` has in a tree of `size`; 0: it is not there."""
    return max(0, min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - index * TILE_WIDTH))


def tiles_of(size: int) -> Iterator[TileAt]:
    """Give every tile of a tree of `size`, level by level, the partial ones included."""
    level = 0
    while hashes := size >> TILE_HEIGHT * level:
        for index in range(-(-hashes // TILE_WIDTH)):
            yield TileAt(level, index, width_of(level, index, size))
        level += 1


def bundles_of(size: int) -> Iterator[EntriesAt]:
    """Give every bundle of a log of `size` entries, in order; the last may be partial."""
    for index in range(-(-size // TILE_WIDTH)):
        yield EntriesAt(index, width_of(0, index, size))


def tile_of(hashes: Sequence[bytes]) -> bytes:
    """Return the bytes of a tile over 1 to 256 hashes. Raises TileRefused otherwise."""
    if not 1 <= len(hashes) <= TILE_WIDTH or not are_hashes(hashes):
        raise TileRefused("a tile has 1 to 256 hashes of 32 bytes")
    return b"".join(hashes)


def hashes_of(tile: bytes) -> list[bytes]:
    """Return the hashes of a tile. Raises TileRefused for bytes that no tile has."""
    if not 1 <= len(tile) // HASH_BYTES <= TILE_WIDTH or len(tile) % HASH_BYTES:
        raise TileRefused("a tile has 1 to 256 hashes of 32 bytes")
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def tile_root(tile: bytes) -> bytes:
    """Return the 32-byte root over a full tile: its hash in the level above.

    Raises TileRefused for a partial tile, which has none.
    """
    level = hashes_of(tile)
    if len(level) != TILE_WIDTH:
        raise TileRefused("a partial tile has no hash in the level above")
    while len(level) > 1:
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


def entry_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bundle of 1 to 256 entries, each behind its length. Raises TileRefused otherwise."""
    if not 1 <= len(entries) <= TILE_WIDTH or max(map(len, entries)) > MOST_ENTRY_BYTES:
        raise TileRefused("a bundle has 1 to 256 entries of at most 65,535 bytes")
    length = _LENGTH.pack
    return b"".join([length(len(entry)) + entry for entry in entries])


def parse_bundle(bundle: bytes, width: int) -> list[bytes]:
    """Return the `width` entries of a bundle. Raises TileRefused when there are more, fewer or half ones."""
    entries: list[bytes] = []
    at, end, unpack = 0, len(bundle), _LENGTH.unpack_from
    while at + _LENGTH.size <= end and len(entries) < width:
        start = at + _LENGTH.size
        at = start + unpack(bundle, at)[0]
        entries.append(bundle[start:at])
    if at != end or len(entries) != width:
        raise TileRefused(f"the bundle does not consist of {width} entries")
    return entries


class Edge:
    """The right edge of a growing tree: of every level the hashes that do not yet fill a tile.

    At most 255 hashes a level, whatever the size.
    """

    def __init__(self) -> None:
        """Begin with the empty tree."""
        self.size = 0
        self._hashes: list[list[bytes]] = [[]]
        self._ranges: list[CompactRange] = [CompactRange()]

    @classmethod
    def restored(cls, size: int, partial: Sequence[Sequence[bytes]]) -> "Edge":
        """Return the edge of a tree of `size`, of which `partial` are the hashes level by level, 0 first.

        Levels that end with a full tile have none; the last levels may be left out when they have none.
        Raises ValueError when a tree of `size` has other numbers of them.
        """
        edge = cls()
        counts = [len(hashes) for hashes in partial]
        if sum(count << TILE_HEIGHT * level for level, count in enumerate(counts)) != size or any(
            count >= TILE_WIDTH for count in counts
        ):
            msg = f"a tree of {size} has other numbers of hashes on its edge than {counts}"
            raise ValueError(msg)
        edge.size = size
        edge._hashes = [list(hashes) for hashes in partial] or [[]]
        edge._ranges = [CompactRange.over(hashes) for hashes in edge._hashes]
        return edge

    def append(self, leaf: bytes) -> list[tuple[TileAt, bytes]]:
        """Add a leaf hash; return the tiles that it completed, lowest level first (mostly none)."""
        self.size += 1
        self._hashes[0].append(leaf)
        self._ranges[0].append(leaf)
        return self._full_tiles() if len(self._hashes[0]) == TILE_WIDTH else []

    def partial(self, level: int) -> bytes:
        """Return the hashes of a level that do not yet fill a tile: its partial tile, or no bytes."""
        return b"".join(self._hashes[level]) if level < len(self._hashes) else b""

    def root(self) -> bytes:
        """Return the 32-byte root of the tree as it stands."""
        subtrees = [subtree for level in reversed(self._ranges) for subtree in level.subtrees]
        return CompactRange(self.size, subtrees).root()

    def _full_tiles(self) -> list[tuple[TileAt, bytes]]:
        """Take the full tile off its level, put its root into the level above, and so on."""
        full = []
        level = 0
        while len(self._hashes[level]) == TILE_WIDTH:
            index = (self.size >> TILE_HEIGHT * (level + 1)) - 1
            full.append((TileAt(level, index), b"".join(self._hashes[level])))
            (root,) = self._ranges[level].subtrees
            self._hashes[level], self._ranges[level] = [], CompactRange()
            level += 1
            if level == len(self._hashes):
                self._hashes.append([])
                self._ranges.append(CompactRange())
            self._hashes[level].append(root)
            self._ranges[level].append(root)
        return full


def _numbered(index: int) -> str:
    """Return a number in groups of three digits, all but the last behind an `x`."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def _partial(width: int) -> str:
    return "" if width == TILE_WIDTH else f".p/{width}"
