"""Roots and proofs computed from tiles. Source: RFC 9162, section 2.1, over C2SP tlog-tiles.

Each is a list of ranges of leaves whose roots it consists of, and each range a few subtrees, of which every
one lies under a tile. So a caller first asks which tiles he needs, gets them in any way he likes, and then
computes: nothing here waits for anything.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from libs.merkle.errors import TileRefused
from libs.merkle.hashing import EMPTY_ROOT, HASH_BYTES, node_hash
from libs.merkle.tiles import TILE_HEIGHT, TILE_WIDTH, TileAt, width_of
from libs.merkle.tree import largest_power_below, range_steps

HashSource = Callable[[TileAt], bytes]
"""Answers the tile that is named, with exactly its `width` hashes."""


class _Span(NamedTuple):
    """Leaves `begin` to `end` (without `end`), whose root is one hash of a proof."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class _Subtree:
    """A full subtree: the leaves from `index` << `height` on, 1 << `height` of them."""

    height: int
    index: int

    def tile(self, size: int) -> TileAt:
        """Return the tile in whose hashes the subtree's root can be computed, in a tree of `size`."""
        level, above = divmod(self.height, TILE_HEIGHT)
        index = self.index << above >> TILE_HEIGHT
        return TileAt(level, index, width_of(level, index, size))


def tiles_for_root(size: int) -> frozenset[TileAt]:
    """Return the tiles that `root_from_tiles` asks for."""
    return _tiles_under(_whole(size), size)


def tiles_for_inclusion(index: int, size: int) -> frozenset[TileAt]:
    """Return the tiles that `inclusion_from_tiles` asks for. Raises IndexError for a leaf outside."""
    return tiles_for_range(index, index, size)


def tiles_for_range(first: int, last: int, size: int) -> frozenset[TileAt]:
    """Return the tiles that `range_from_tiles` asks for. Raises IndexError for leaves outside."""
    return _tiles_under(_beside(first, last, size), size)


def tiles_for_consistency(first: int, second: int) -> frozenset[TileAt]:
    """Return the tiles that `consistency_from_tiles` asks for. IndexError for sizes of no two trees."""
    return _tiles_under(_between(first, second), second)


def root_from_tiles(source: HashSource, size: int) -> bytes:
    """Return the 32-byte root of the tree of `size`. Raises TileRefused for a tile of another width."""
    return _roots(source, _whole(size), size)[0] if size else EMPTY_ROOT


def inclusion_from_tiles(source: HashSource, index: int, size: int) -> list[bytes]:
    """Return the inclusion proof of leaf `index` in the tree of `size`.

    Source: RFC 9162, section 2.1.3.1. Raises IndexError for a leaf outside, TileRefused for a wrong tile.
    """
    return range_from_tiles(source, index, index, size)


def inclusions_from_tiles(source: HashSource, indexes: Sequence[int], size: int) -> list[list[bytes]]:
    """Return the inclusion proof of each of `indexes`, in their order; what they share is hashed once.

    It asks for the tiles of `tiles_for_inclusion` of each. Raises as `inclusion_from_tiles` does.
    """
    subtree_root = cache(lambda subtree: _subtree_root(source, subtree, size))
    return [[_root(subtree_root, span) for span in _beside(index, index, size)] for index in indexes]


def range_from_tiles(source: HashSource, first: int, last: int, size: int) -> list[bytes]:
    """Return the proof of leaves `first` to `last` (both included); see `libs.merkle.tree.range_proof`."""
    return _roots(source, _beside(first, last, size), size)


def consistency_from_tiles(source: HashSource, first: int, second: int) -> list[bytes]:
    """Return the proof that the tree of `second` only appended to that of `first`.

    Source: RFC 9162, section 2.1.4.1. Raises IndexError unless 1 <= first <= second.
    """
    return _roots(source, _between(first, second), second)


def _whole(size: int) -> list[_Span]:
    return [_Span(0, size)] if size else []


def _beside(first: int, last: int, size: int) -> list[_Span]:
    """Return what stands beside the path of the leaves to the root, in the order of the proof."""
    return [
        _Span(index << height, min(index + 1 << height, size))
        for height, index in range_steps(first, last, size)
    ]


def _between(first: int, second: int) -> list[_Span]:
    """Return the spans of SUBPROOF(first, D[0:second], true) of RFC 9162, section 2.1.4.1."""
    if not 1 <= first <= second:
        msg = f"a tree of {second} has no earlier tree of {first}"
        raise IndexError(msg)
    begin, end, whole = 0, second, True
    upwards: list[_Span] = []
    while first != end:
        split = begin + largest_power_below(end - begin)
        if first <= split:
            upwards.append(_Span(split, end))
            end = split
        else:
            upwards.append(_Span(begin, split))
            begin, whole = split, False
    own = [] if whole else [_Span(begin, end)]
    return [*own, *reversed(upwards)]


def _subtrees(span: _Span) -> Iterator[_Subtree]:
    """Give the full subtrees of a span, from left to right; a span begins where a larger subtree could."""
    begin = span.begin
    while begin < span.end:
        height = (span.end - begin).bit_length() - 1
        yield _Subtree(height, begin >> height)
        begin += 1 << height


def _tiles_under(spans: Iterable[_Span], size: int) -> frozenset[TileAt]:
    return frozenset(subtree.tile(size) for span in spans for subtree in _subtrees(span))


def _roots(source: HashSource, spans: Iterable[_Span], size: int) -> list[bytes]:
    return [_root(lambda subtree: _subtree_root(source, subtree, size), span) for span in spans]


def _root(subtree_root: Callable[[_Subtree], bytes], span: _Span) -> bytes:
    """Return the root over a span: its subtrees' roots, put together from the right."""
    roots = [subtree_root(subtree) for subtree in _subtrees(span)]
    root = roots.pop()
    while roots:
        root = node_hash(roots.pop(), root)
    return root


def _subtree_root(source: HashSource, subtree: _Subtree, size: int) -> bytes:
    at = subtree.tile(size)
    tile = source(at)
    if len(tile) != at.width * HASH_BYTES:
        raise TileRefused(f"{at.path} does not have {at.width} hashes")
    count = 1 << subtree.height % TILE_HEIGHT
    begin = subtree.index * count % TILE_WIDTH
    level = [tile[i * HASH_BYTES : (i + 1) * HASH_BYTES] for i in range(begin, begin + count)]
    while len(level) > 1:
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]
