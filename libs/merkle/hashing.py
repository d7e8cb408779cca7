"""The three hashes that a tree is made of. Source: RFC 9162, section 2.1.1."""

import hashlib
from collections.abc import Iterable

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
_LEAF = b"\x00"
_NODE = b"\x01"


def leaf_hash(entry: bytes) -> bytes:
    """Return the 32-byte hash of an entry as a leaf; no node can have the same hash."""
    return hashlib.sha256(_LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of the node above two 32-byte hashes."""
    return hashlib.sha256(_NODE + left + right).digest()


def are_hashes(values: Iterable[bytes]) -> bool:
    """Tell whether every value has the length of a hash."""
    return all(len(value) == HASH_BYTES for value in values)
