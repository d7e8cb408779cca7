"""Tiles against the tree: the same roots and proofs, whatever the size."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.merkle.errors import ProofRefused, TileRefused
from libs.merkle.hashing import leaf_hash
from libs.merkle.tile_proofs import (
    consistency_from_tiles,
    inclusion_from_tiles,
    inclusions_from_tiles,
    range_from_tiles,
    root_from_tiles,
    tiles_for_consistency,
    tiles_for_inclusion,
    tiles_for_range,
    tiles_for_root,
)
from libs.merkle.tiles import (
    TILE_WIDTH,
    Edge,
    EntriesAt,
    TileAt,
    bundles_of,
    entry_bundle,
    hashes_of,
    parse_bundle,
    parse_path,
    tile_of,
    tile_root,
    tiles_of,
    width_of,
)
from libs.merkle.tree import consistency_proof, inclusion_proof, range_proof, root_of
from libs.merkle.verify import verify_range

MOST = 66_500  # a little over 256 tiles: three levels
LEAVES = [leaf_hash(index.to_bytes(4)) for index in range(MOST)]
SIZES = st.one_of(
    st.integers(1, 1_000), st.sampled_from([255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, MOST])
)


def tile_by_definition(at: TileAt) -> bytes:
    """Return a tile by the definition of the specification."""
    spread = TILE_WIDTH**at.level
    starts = [(at.index * TILE_WIDTH + i) * spread for i in range(at.width)]
    return b"".join(root_of(LEAVES[start : start + spread]) for start in starts)


def stored_tiles(size: int) -> dict[TileAt, bytes]:
    """Return all tiles of a tree of `size`, as an edge made them."""
    edge = Edge()
    tiles: dict[TileAt, bytes] = {}
    for leaf in LEAVES[:size]:
        tiles.update(edge.append(leaf))
    for at in tiles_of(size):
        if not at.full:
            tiles[at] = edge.partial(at.level)
    return tiles


EVERYTHING = {size: stored_tiles(size) for size in (1, 255, 256, 257, 700, MOST)}


def test_the_example_of_the_specification_has_its_tiles():
    tiles = list(tiles_of(70_000))
    assert sum(at.level == 0 and at.full for at in tiles) == 273
    assert [at for at in tiles if not at.full] == [TileAt(0, 273, 112), TileAt(1, 1, 17), TileAt(2, 0, 1)]
    assert list(tiles_of(256)) == [TileAt(0, 0), TileAt(1, 0, 1)]
    assert list(tiles_of(0)) == []
    assert list(bundles_of(0)) == []
    assert list(bundles_of(257)) == [EntriesAt(0), EntriesAt(1, 1)]


@pytest.mark.parametrize("size", EVERYTHING)
def test_an_edge_makes_the_tiles_that_the_specification_defines(size: int):
    tiles = EVERYTHING[size]
    assert set(tiles) == set(tiles_of(size))
    checked = list(tiles)[:: max(1, len(tiles) // 40)] + [at for at in tiles if at.level or not at.full]
    assert [at for at in checked if tiles[at] != tile_by_definition(at)] == []


@given(st.integers(0, 1_500), st.integers(0, 600))
@settings(max_examples=25, deadline=None)
def test_an_edge_that_was_stored_grows_on_as_if_nothing_had_happened(before: int, more: int):
    edge = Edge()
    for leaf in LEAVES[:before]:
        edge.append(leaf)
    partial = [hashes_of(edge.partial(level)) if edge.partial(level) else [] for level in range(2)]
    restored = Edge.restored(before, partial)
    for leaf in LEAVES[before : before + more]:
        assert edge.append(leaf) == restored.append(leaf)
    assert edge.root() == restored.root() == root_of(LEAVES[: before + more])
    assert restored.size == before + more


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600, TILE_WIDTH**2, TILE_WIDTH**2 + 299])
def test_an_edge_grown_or_restored_has_the_root_over_its_leaves(size: int):
    grown = Edge()
    tiles = [tile for leaf in LEAVES[:size] for tile in grown.append(leaf)]
    assert grown.root() == root_of(LEAVES[:size])
    assert len(tiles) == size // TILE_WIDTH + size // TILE_WIDTH**2
    roots = [tile_root(tile) for at, tile in tiles if at.level == 0]
    for at, tile in tiles:
        below = LEAVES if at.level == 0 else roots
        assert hashes_of(tile) == below[at.index * TILE_WIDTH : (at.index + 1) * TILE_WIDTH]
    partial = [grown.partial(level) for level in range(3)]
    restored = Edge.restored(size, [hashes_of(tile) if tile else [] for tile in partial])
    restored.append(LEAVES[size])
    assert restored.root() == root_of(LEAVES[: size + 1])


def test_an_edge_that_no_tree_has_is_refused():
    with pytest.raises(ValueError, match="other numbers"):
        Edge.restored(257, [[LEAVES[0]], []])
    with pytest.raises(ValueError, match="other numbers"):
        Edge.restored(3, [LEAVES[:2]])
    with pytest.raises(ValueError, match="other numbers"):
        Edge.restored(256, [LEAVES[:256]])


@given(SIZES, st.data())
@settings(max_examples=60, deadline=None)
def test_proofs_from_tiles_are_those_of_the_tree(size: int, data):
    tiles = {at: tile_by_definition(at) for at in tiles_of(size)} if size < 300 else stored_tiles(size)
    index = data.draw(st.integers(0, size - 1))
    first = data.draw(st.integers(1, size))
    last = data.draw(st.integers(index, min(size - 1, index + 600)))

    def only(wanted: frozenset[TileAt]):
        return {at: tiles[at] for at in wanted}.__getitem__

    leaves = LEAVES[:size]
    assert root_from_tiles(only(tiles_for_root(size)), size) == root_of(leaves)
    assert inclusion_from_tiles(only(tiles_for_inclusion(index, size)), index, size) == inclusion_proof(
        leaves, index
    )
    assert range_from_tiles(only(tiles_for_range(index, last, size)), index, last, size) == range_proof(
        leaves, index, last
    )
    indexes = [last, index, first - 1, index]
    wanted = frozenset(at for each in indexes for at in tiles_for_inclusion(each, size))
    assert inclusions_from_tiles(only(wanted), indexes, size) == [
        inclusion_proof(leaves, each) for each in indexes
    ]
    consistent = consistency_from_tiles(only(tiles_for_consistency(first, size)), first, size)
    assert consistent == consistency_proof(leaves, first)


def test_a_proof_asks_for_few_tiles():
    assert len(tiles_for_inclusion(12_345, MOST)) <= 6


def test_the_empty_tree_needs_no_tile():
    nothing: dict[TileAt, bytes] = {}
    assert root_from_tiles(nothing.__getitem__, 0) == root_of([])


def test_a_tile_of_another_width_is_refused():
    with pytest.raises(TileRefused, match="does not have"):
        root_from_tiles(lambda _: bytes(31), 3)


@pytest.mark.parametrize(("first", "last", "size"), [(-1, 0, 3), (2, 1, 3), (0, 3, 3), (0, 0, 0)])
def test_leaves_that_are_not_there_have_no_proof(first: int, last: int, size: int):
    with pytest.raises(IndexError):
        tiles_for_range(first, last, size)


@pytest.mark.parametrize(("first", "second"), [(0, 3), (4, 3), (-1, 3)])
def test_sizes_that_no_two_trees_have_have_no_proof(first: int, second: int):
    with pytest.raises(IndexError):
        tiles_for_consistency(first, second)


@given(st.integers(1, 80), st.data())
def test_a_row_of_leaves_is_provable_together(size: int, data):
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size - 1))
    leaves = LEAVES[:size]
    proof = range_proof(leaves, first, last)
    row = leaves[first : last + 1]
    verify_range(leaves=row, first=first, size=size, proof=proof, root=root_of(leaves))
    if first == last:
        assert proof == inclusion_proof(leaves, first)


@given(st.integers(2, 80), st.data())
def test_no_altered_row_is_accepted(size: int, data):
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size - 1))
    leaves = LEAVES[:size]
    proof, row = range_proof(leaves, first, last), leaves[first : last + 1]
    at = data.draw(st.integers(0, len(row) - 1))
    stranger = leaf_hash(b"stranger")
    altered = [
        (first, [*row[:at], stranger, *row[at + 1 :]], proof),
        (first, [*row[:at], *row[at + 1 :]], proof),
        (first, [*row[:at], stranger, *row[at:]], proof),
        (first, row, [*proof, stranger]),
        (first, row, proof[:-1] if proof else [stranger]),
        (first, row, [stranger, *proof[1:]]),
        (first, row, [stranger[:31], *proof[1:]]),
        (first + 1, row, proof),
        (first - 1, row, proof),
    ]
    if len(row) > 1:
        altered.append((first, [row[1], row[0], *row[2:]], proof))
    start, rows, path = data.draw(st.sampled_from(altered))
    with pytest.raises(ProofRefused):
        verify_range(leaves=rows, first=start, size=size, proof=path, root=root_of(leaves))


@given(st.integers(0, 63), st.integers(0, 10**10), st.integers(1, 256))
def test_every_path_is_read_back(level: int, index: int, width: int):
    for named in (TileAt(level, index, width), EntriesAt(index, width)):
        assert parse_path(named.path) == named


def test_the_paths_are_those_of_the_specification():
    assert TileAt(0, 1_234_067).path == "tile/0/x001/x234/067"
    assert EntriesAt(5, 12).path == "tile/entries/005.p/12"
    assert TileAt(0, 0).full
    assert not EntriesAt(0, 1).full


@pytest.mark.parametrize(
    "path",
    [
        "tile/64/000",
        "tile/00/000",
        "tile/0/0",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000\n",
        "tile/0/../../etc",
        "/tile/0/000",
        "tile/0/\u0660\u0660\u0660",
    ],
)
def test_another_path_is_refused(path: str):
    with pytest.raises(TileRefused):
        parse_path(path)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_gives_back_its_entries(entries: list[bytes]):
    assert parse_bundle(entry_bundle(entries), len(entries)) == entries


def test_a_bundle_of_other_entries_is_refused():
    bundle = entry_bundle([b"one", b"two"])
    for wrong, width in [(bundle, 1), (bundle, 3), (bundle[:-1], 2), (bundle + b"\x00", 2), (b"", 1)]:
        with pytest.raises(TileRefused):
            parse_bundle(wrong, width)
    for entries in ([], [b"x"] * 257, [bytes(65_536)]):
        with pytest.raises(TileRefused):
            entry_bundle(entries)


def test_a_tile_of_other_hashes_is_refused():
    assert tile_root(tile_of(LEAVES[:256])) == root_of(LEAVES[:256])
    for hashes in ([], LEAVES[:257], [b"short"]):
        with pytest.raises(TileRefused):
            tile_of(hashes)
    for tile in (b"", bytes(31), bytes(33), bytes(257 * 32)):
        with pytest.raises(TileRefused):
            hashes_of(tile)
    with pytest.raises(TileRefused, match="partial"):
        tile_root(tile_of(LEAVES[:255]))


@given(SIZES)
def test_the_widths_of_a_level_add_up(size: int):
    assert sum(at.width for at in tiles_of(size) if at.level == 0) == size
    assert width_of(0, size // 256 + 1, size) == 0
