"""A growing tree has the roots and the tiles of the whole tree, from wherever it is taken up."""

import hashlib

import pytest

from libs.merkle.tree import root_of
from services.audit.domain.trees import TILE_WIDTH, GrowingTree, edge_widths, hashes_in, tile_root

LEAVES = [hashlib.sha256(str(index).encode()).digest() for index in range(TILE_WIDTH**2 + 300)]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600, TILE_WIDTH**2, TILE_WIDTH**2 + 299])
def test_a_tree_grown_or_restored_has_the_root_over_its_leaves(size: int) -> None:
    grown = GrowingTree()
    tiles = grown.append(LEAVES[:size])
    assert grown.root() == root_of(LEAVES[:size])
    assert len(tiles) == size // TILE_WIDTH + size // TILE_WIDTH**2
    for tile in tiles:
        below = (
            LEAVES[:size] if tile.level == 0 else [tile_root(low.hashes) for low in tiles if low.level == 0]
        )
        assert hashes_in(tile.hashes) == below[tile.number * TILE_WIDTH : (tile.number + 1) * TILE_WIDTH]
    restored = GrowingTree.restored(size, grown.edges[: len(edge_widths(size))])
    restored.append(LEAVES[size : size + 1])
    assert restored.root() == root_of(LEAVES[: size + 1])


@pytest.mark.planted
def test_a_tree_restored_from_too_few_hashes_is_refused() -> None:
    with pytest.raises(ValueError, match="partial tiles"):
        GrowingTree.restored(257, [[LEAVES[0]], []])
