"""Properties of the tree: what is proved is true, and nothing else can be proved."""

import hashlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from libs.merkle.compact_range import CompactRange
from libs.merkle.errors import ProofRefused
from libs.merkle.hashing import EMPTY_ROOT, leaf_hash, node_hash
from libs.merkle.tree import (
    HashedTree,
    consistency_proof,
    inclusion_proof,
    inclusion_proofs,
    largest_power_below,
    root_of,
)
from libs.merkle.verify import verify_consistency, verify_inclusion

SIZES = st.integers(min_value=1, max_value=70)


def leaves_of(size: int) -> list[bytes]:
    """Return `size` different leaf hashes."""
    return [leaf_hash(index.to_bytes(4)) for index in range(size)]


def root_by_the_book(leaves: list[bytes]) -> bytes:
    """Return the root by the RFC's recursion, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = largest_power_below(len(leaves))
    return node_hash(root_by_the_book(leaves[:split]), root_by_the_book(leaves[split:]))


@given(st.integers(min_value=0, max_value=300))
def test_the_root_is_that_of_the_rfc_at_every_size(size: int):
    assert root_of(leaves_of(size)) == root_by_the_book(leaves_of(size))


@given(SIZES)
def test_a_tree_that_is_hashed_once_gives_every_proof_of_its_leaves(size: int):
    leaves = leaves_of(size)
    tree = HashedTree(leaves)
    assert (tree.size, tree.root) == (size, root_of(leaves))
    for index in range(size):
        assert tree.inclusion_proof(index) == inclusion_proof(leaves, index)
    with pytest.raises(IndexError):
        tree.inclusion_proof(size)


def test_a_tree_of_nothing_has_the_empty_root():
    assert (HashedTree([]).size, HashedTree([]).root) == (0, EMPTY_ROOT)


@given(st.integers(min_value=0, max_value=300))
def test_a_range_that_grew_leaf_by_leaf_has_the_root_of_the_tree(size: int):
    grown = CompactRange.over(leaves_of(size))
    assert (grown.size, grown.root()) == (size, root_of(leaves_of(size)))


@given(st.integers(min_value=0, max_value=70), st.integers(min_value=0, max_value=70))
def test_a_range_that_was_stored_grows_on_as_if_nothing_had_happened(before: int, after: int):
    leaves = leaves_of(before + after)
    stored = CompactRange.over(leaves[:before])
    restored = CompactRange(stored.size, list(stored.subtrees))
    for leaf in leaves[before:]:
        restored.append(leaf)
    assert restored.root() == root_of(leaves)


def test_a_range_that_no_tree_has_is_refused():
    with pytest.raises(ValueError, match="2 full subtrees"):
        CompactRange(3, [EMPTY_ROOT])
    with pytest.raises(ValueError, match="32 bytes"):
        CompactRange(1, [b"short"])


def test_the_empty_tree_has_the_hash_of_nothing():
    assert root_of([]) == CompactRange().root() == hashlib.sha256(b"").digest()


def test_a_leaf_and_a_node_over_the_same_bytes_differ():
    left, right = leaves_of(2)
    assert leaf_hash(left + right) != node_hash(left, right)


@given(SIZES, st.data())
def test_every_leaf_is_provable_in_its_tree(size: int, data):
    index = data.draw(st.integers(0, size - 1))
    leaves = leaves_of(size)
    proof = inclusion_proof(leaves, index)
    verify_inclusion(leaf=leaves[index], index=index, size=size, proof=proof, root=root_of(leaves))


@given(SIZES, st.data())
def test_proofs_made_together_are_those_made_alone(size: int, data):
    indexes = data.draw(st.lists(st.integers(0, size - 1)))
    leaves = leaves_of(size)
    assert inclusion_proofs(leaves, indexes) == [inclusion_proof(leaves, index) for index in indexes]


@given(SIZES, st.data())
def test_no_leaf_is_provable_at_another_index(size: int, data):
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(-2, size + 2))
    assume(index != other)
    leaves = leaves_of(size)
    with pytest.raises(ProofRefused):
        verify_inclusion(
            leaf=leaves[index],
            index=other,
            size=size,
            proof=inclusion_proof(leaves, index),
            root=root_of(leaves),
        )


@given(SIZES, st.data())
def test_no_altered_inclusion_proof_is_accepted(size: int, data):
    leaves = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(leaves, index)
    altered = data.draw(alterations_of(proof))
    with pytest.raises(ProofRefused):
        verify_inclusion(leaf=leaves[index], index=index, size=size, proof=altered, root=root_of(leaves))


@given(SIZES, st.data())
def test_every_earlier_tree_is_provably_a_beginning_of_the_later_one(size: int, data):
    first = data.draw(st.integers(1, size))
    leaves = leaves_of(size)
    verify_consistency(
        first=first,
        second=size,
        proof=consistency_proof(leaves, first),
        first_root=root_of(leaves[:first]),
        second_root=root_of(leaves),
    )


@given(SIZES, st.data())
def test_a_log_that_rewrote_a_leaf_cannot_prove_consistency(size: int, data):
    first = data.draw(st.integers(1, size))
    rewritten_at = data.draw(st.integers(0, first - 1))
    leaves = leaves_of(size)
    rewritten = [*leaves[:rewritten_at], leaf_hash(b"rewritten"), *leaves[rewritten_at + 1 :]]
    with pytest.raises(ProofRefused):
        verify_consistency(
            first=first,
            second=size,
            proof=consistency_proof(rewritten, first),
            first_root=root_of(leaves[:first]),
            second_root=root_of(rewritten),
        )


@given(SIZES, st.data())
def test_no_altered_consistency_proof_is_accepted(size: int, data):
    first = data.draw(st.integers(1, size))
    leaves = leaves_of(size)
    altered = data.draw(alterations_of(consistency_proof(leaves, first)))
    with pytest.raises(ProofRefused):
        verify_consistency(
            first=first,
            second=size,
            proof=altered,
            first_root=root_of(leaves[:first]),
            second_root=root_of(leaves),
        )


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 3), (-1, 3), (4, 3)])
def test_sizes_that_no_two_trees_have_are_refused(first: int, second: int):
    with pytest.raises(ProofRefused, match="empty or larger"):
        verify_consistency(
            first=first, second=second, proof=[], first_root=EMPTY_ROOT, second_root=root_of(leaves_of(3))
        )


def test_two_roots_of_one_size_are_a_split_view_and_refused():
    with pytest.raises(ProofRefused, match="different roots"):
        verify_consistency(
            first=3, second=3, proof=[], first_root=EMPTY_ROOT, second_root=root_of(leaves_of(3))
        )


def test_a_proof_of_nothing_is_refused_when_the_tree_grew():
    leaves = leaves_of(5)
    with pytest.raises(ProofRefused, match="empty"):
        verify_consistency(
            first=3, second=5, proof=[], first_root=root_of(leaves[:3]), second_root=root_of(leaves)
        )


@pytest.mark.parametrize("index", [-1, 3, 4])
def test_there_is_no_proof_for_a_leaf_that_is_not_there(index: int):
    with pytest.raises(IndexError):
        inclusion_proof(leaves_of(3), index)


@pytest.mark.parametrize("first", [-1, 0, 4])
def test_there_is_no_proof_for_an_earlier_tree_that_never_was(first: int):
    with pytest.raises(IndexError):
        consistency_proof(leaves_of(3), first)


@st.composite
def alterations_of(draw, proof: list[bytes]) -> list[bytes]:
    """Return `proof` with a bit flipped, a step dropped, doubled or added, or a step cut short."""
    stranger = leaf_hash(b"stranger")
    if not proof:
        return [stranger]
    at = draw(st.integers(0, len(proof) - 1))
    step = proof[at]
    flipped = bytes([step[0] ^ 1 << draw(st.integers(0, 7))]) + step[1:]
    altered: list[list[bytes]] = [
        [*proof[:at], flipped, *proof[at + 1 :]],
        [*proof[:at], *proof[at + 1 :]],
        [*proof[:at], stranger, *proof[at:]],
        [*proof, stranger],
        [*proof[:at], step[:31], *proof[at + 1 :]],
    ]
    return altered[draw(st.integers(0, len(altered) - 1))]
