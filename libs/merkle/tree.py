"""Roots and proofs over leaf hashes that are all at hand. Source: RFC 9162, section 2.1."""

from collections.abc import Sequence

from libs.merkle.hashing import EMPTY_ROOT, HASH_BYTES, node_hash


class HashedTree:
    """A tree that is hashed once, for whoever asks for many proofs, now and later.

    About 64 bytes for each leaf: its levels lie in memory as strings of hashes.
    """

    __slots__ = ("_levels",)

    def __init__(self, leaves: Sequence[bytes]) -> None:
        """Hash the tree over `leaves` (their hashes, in order)."""
        level = leaves
        self._levels = [b"".join(level)]
        while len(level) > 1:
            level = _above(level)
            self._levels.append(b"".join(level))

    @property
    def size(self) -> int:
        """How many leaves it has."""
        return len(self._levels[0]) // HASH_BYTES

    @property
    def root(self) -> bytes:
        """Its 32-byte root."""
        return self._levels[-1] or EMPTY_ROOT

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Return what `inclusion_proof` of the same leaves returns. Raises IndexError as that does."""
        return [self._node(height, place) for height, place in range_steps(index, index, self.size)]

    def _node(self, height: int, index: int) -> bytes:
        return self._levels[height][index * HASH_BYTES : (index + 1) * HASH_BYTES]


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the 32-byte root of the tree over `leaves` (their hashes, in order).

    Hashing level by level, with a last odd node moving up unhashed, gives the same tree as the split
    at the largest power of two. Source: RFC 9162, section 2.1.1.
    """
    if not leaves:
        return EMPTY_ROOT
    level = leaves
    while len(level) > 1:
        level = _above(level)
    return level[0]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes, lowest first, that lead from leaf `index` to the root over `leaves`.

    Source: RFC 9162, section 2.1.3.1. Raises IndexError for a leaf that is not there.
    """
    return inclusion_proofs(leaves, [index])[0]


def inclusion_proofs(leaves: Sequence[bytes], indexes: Sequence[int]) -> list[list[bytes]]:
    """Return the inclusion proof of each of `indexes`, in their order; the tree is hashed once for all.

    Raises IndexError for a leaf that is not there.
    """
    for index in indexes:
        if not 0 <= index < len(leaves):
            msg = f"there is no leaf {index} in a tree of {len(leaves)}"
            raise IndexError(msg)
    proofs: list[list[bytes]] = [[] for _ in indexes]
    level, height = leaves, 0
    while len(level) > 1:
        for proof, index in zip(proofs, indexes, strict=True):
            sibling = (index >> height) ^ 1
            if sibling < len(level):
                proof.append(level[sibling])
        level, height = _above(level), height + 1
    return proofs


def consistency_proof(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """Return the hashes that show that the tree over `leaves` only appended to its first `first` leaves.

    Source: RFC 9162, section 2.1.4.1. Raises IndexError unless 1 <= first <= len(leaves).
    """
    if not 1 <= first <= len(leaves):
        msg = f"a tree of {len(leaves)} has no earlier tree of {first}"
        raise IndexError(msg)
    return _subproof(leaves, first, whole=True)


def range_steps(first: int, last: int, size: int) -> list[tuple[int, int]]:
    """Return the nodes (height, index) beside the paths from leaves `first` to `last` to the root.

    Lowest first, left before right. For one leaf these are the steps of its inclusion proof.
    Raises IndexError unless 0 <= first <= last < size.
    """
    if not 0 <= first <= last < size:
        msg = f"there are no leaves {first} to {last} in a tree of {size}"
        raise IndexError(msg)
    steps: list[tuple[int, int]] = []
    height, end = 0, size - 1
    while end:
        if first & 1:
            steps.append((height, first - 1))
        if not last & 1 and last < end:
            steps.append((height, last + 1))
        first, last, end, height = first >> 1, last >> 1, end >> 1, height + 1
    return steps


def range_proof(leaves: Sequence[bytes], first: int, last: int) -> list[bytes]:
    """Return the hashes that lead from leaves `first` to `last` (both included) together to the root.

    Lowest first, left before right; for one leaf it is its inclusion proof. Raises IndexError for leaves
    that are not there.
    """
    levels = [leaves]
    while len(levels[-1]) > 1:
        levels.append(_above(levels[-1]))
    return [levels[height][index] for height, index in range_steps(first, last, len(leaves))]


def largest_power_below(count: int) -> int:
    """Return the largest power of two that is smaller than `count` (at least 2): where a tree splits."""
    return 1 << (count - 1).bit_length() - 1


def _above(level: Sequence[bytes]) -> list[bytes]:
    """Return the next level up; the last node of an odd level moves up as it is."""
    above = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    if len(level) % 2:
        above.append(level[-1])
    return above


def _subproof(leaves: Sequence[bytes], first: int, *, whole: bool) -> list[bytes]:
    """Return SUBPROOF(first, leaves, whole) of RFC 9162, section 2.1.4.1."""
    if first == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = largest_power_below(len(leaves))
    left, right = leaves[:split], leaves[split:]
    if first <= split:
        return [*_subproof(left, first, whole=whole), root_of(right)]
    return [*_subproof(right, first - split, whole=False), root_of(left)]
