"""A tree that only grows, kept as the roots of its full subtrees: at most one for each bit of its size."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from libs.merkle.hashing import EMPTY_ROOT, are_hashes, node_hash


@dataclass(slots=True)
class CompactRange:
    """The state that appending needs: `size` leaves and the roots of their full subtrees, largest first.

    It is the "frontier" of the tree: 32 bytes for each one-bit of `size`, whatever the size.
    """

    size: int = 0
    subtrees: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse a state that no tree has. Raises ValueError."""
        if len(self.subtrees) != self.size.bit_count() or not are_hashes(self.subtrees):
            msg = f"a tree of {self.size} leaves has {self.size.bit_count()} full subtrees of 32 bytes each"
            raise ValueError(msg)

    @classmethod
    def over(cls, leaves: Iterable[bytes]) -> Self:
        """Return the range over `leaves` (32-byte leaf hashes, in order)."""
        grown = cls()
        for leaf in leaves:
            grown.append(leaf)
        return grown

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash on the right: a carry of binary addition, one node for each carry."""
        size = self.size
        while size & 1:
            leaf = node_hash(self.subtrees.pop(), leaf)
            size >>= 1
        self.subtrees.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the 32-byte root of the tree as it stands."""
        if not self.subtrees:
            return EMPTY_ROOT
        root = self.subtrees[-1]
        for subtree in self.subtrees[-2::-1]:
            root = node_hash(subtree, root)
        return root
