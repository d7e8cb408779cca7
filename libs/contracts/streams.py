"""The names of streams, and who reads which."""

from collections.abc import Mapping
from types import MappingProxyType

PARTITIONS = 64
"""Logical partitions of every outbox, for ever: a change would reorder what was already published."""

CONSUMERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "identity": ("messaging", "holds", "audit"),
        "keys": ("holds", "audit"),
        "messaging": ("holds", "retention", "ediscovery", "audit"),
        "audit": ("audit",),
        "ediscovery": ("audit",),
        "retention": ("audit", "messaging"),
        "holds": ("messaging", "keys", "audit"),
    }
)
"""Source service → the services whose cursors its outbox waits for before it drops anything."""

REVOCATIONS_CHANNEL = "identity:revocations"
"""The Pub/Sub channel on which identity hurries revocations and says its position every 500 ms."""


def stream_name(source: str, part: int) -> str:
    """Return the stream of a source's partition; the braces keep it in one slot of a cluster.

    Raises ValueError for a partition outside 0..63.
    """
    if not 0 <= part < PARTITIONS:
        msg = f"a partition lies in 0..{PARTITIONS - 1}, {part} does not"
        raise ValueError(msg)
    return f"muniment:{{{source}:{part}}}"
