"""Checks proofs against roots; needs no tree, so that a stranger can do it off line.

Four questions that the RFC leaves open are decided here, as the transparency logs do: a value that is not
32 bytes long is refused before anything else; nothing is included in an empty tree; an empty tree proves
no consistency; equal sizes need equal roots and an empty proof.
"""

from collections.abc import Sequence

from libs.merkle.errors import ProofRefused
from libs.merkle.hashing import are_hashes, node_hash


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Return when `leaf` (a 32-byte leaf hash) stands at `index` in the tree of `size` with `root`.

    Source: RFC 9162, section 2.1.3.2. Raises ProofRefused otherwise.
    """
    if not are_hashes([leaf, root, *proof]):
        raise ProofRefused("a hash is 32 bytes long")
    if not 0 <= index < size:
        raise ProofRefused("the index lies outside the tree")
    position, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofRefused("the proof is longer than the path to the root")
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            position, last = _skip_to_left_edge(position, last)
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofRefused("the proof is shorter than the path to the root")
    if computed != root:
        raise ProofRefused("the path leads to another root")


def verify_range(
    *, leaves: Sequence[bytes], first: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Return when `leaves` (leaf hashes) stand in a row from `first` on in the tree of `size` with `root`.

    The same rules as for one leaf, for a row of nodes at each height. Raises ProofRefused otherwise.
    """
    if not are_hashes([root, *leaves, *proof]):
        raise ProofRefused("a hash is 32 bytes long")
    if not leaves or not 0 <= first <= size - len(leaves):
        raise ProofRefused("the leaves lie outside the tree")
    row, end, steps = list(leaves), size - 1, iter(proof)
    try:
        while end:
            if first & 1:
                row.insert(0, next(steps))
                first -= 1
            if len(row) & 1 and first + len(row) <= end:
                row.append(next(steps))
            above = [node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
            row = above + row[2 * len(above) :]
            first, end = first >> 1, end >> 1
    except StopIteration:
        raise ProofRefused("the proof is shorter than the paths to the root") from None
    if next(steps, None) is not None:
        raise ProofRefused("the proof is longer than the paths to the root")
    if row != [root]:
        raise ProofRefused("the paths lead to another root")


def verify_consistency(
    *, first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes
) -> None:
    """Return when the tree of `second` leaves only appended to the tree of `first` leaves.

    Source: RFC 9162, section 2.1.4.2. Raises ProofRefused otherwise.
    """
    if not are_hashes([first_root, second_root, *proof]):
        raise ProofRefused("a hash is 32 bytes long")
    if not 1 <= first <= second:
        raise ProofRefused("the earlier tree is empty or larger than the later one")
    if first == second:
        _verify_same_tree(proof, first_root, second_root)
        return
    path = [first_root, *proof] if first.bit_count() == 1 else list(proof)
    if not path:
        raise ProofRefused("the proof is empty")
    if _roots_along(path, first, second) != (first_root, second_root):
        raise ProofRefused("the path leads to other roots")


def _verify_same_tree(proof: Sequence[bytes], first_root: bytes, second_root: bytes) -> None:
    """Return when two trees of the same size have one root and nothing else is claimed."""
    if proof:
        raise ProofRefused("the same tree needs no proof")
    if first_root != second_root:
        raise ProofRefused("two trees of one size have different roots")


def _roots_along(path: Sequence[bytes], first: int, second: int) -> tuple[bytes, bytes]:
    """Return the earlier and the later root to which `path` leads (steps 3 to 6 of the RFC)."""
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    earlier = later = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofRefused("the proof is longer than the path to the root")
        if position & 1 or position == last:
            earlier, later = node_hash(sibling, earlier), node_hash(sibling, later)
            position, last = _skip_to_left_edge(position, last)
        else:
            later = node_hash(later, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofRefused("the proof is shorter than the path to the root")
    return earlier, later


def _skip_to_left_edge(position: int, last: int) -> tuple[int, int]:
    """Climb while the node is a left child that moves up alone (step 4.2.2 of the RFC)."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last
