"""The names of streams, and who reads which."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from libs.contracts.facts import FACT_ACTION

PARTITIONS = 64
"""Logical partitions of every outbox, for ever: a change would reorder what was already published."""

CONSUMERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "identity": ("messaging", "holds", "audit"),
        "keys": ("holds", "messaging", "retention", "audit"),
        "messaging": ("holds", "keys", "retention", "ediscovery", "audit"),
        "audit": ("audit",),
        "ediscovery": ("holds", "retention", "audit"),
        "retention": ("audit", "messaging"),
        "holds": ("messaging", "keys", "ediscovery", "audit"),
    }
)
"""Source service → the services whose cursors its outbox waits for before it drops anything."""


class Lane(StrEnum):
    """One of the streams of a partition: a record is in one lane, and the other says that it is passed over.

    The audit log alone wants facts, and nothing else; there are as many of them as of all other events.
    """

    EVENTS = "events"
    FACTS = "facts"


REVOCATIONS_CHANNEL = "identity:revocations"
"""The Pub/Sub channel on which identity hurries revocations and says its position every 500 ms."""


def lane_of(name: str) -> Lane:
    """Return the lane of the events of this name."""
    return Lane.FACTS if name.endswith(f".{FACT_ACTION}") else Lane.EVENTS


def stream_name(source: str, part: int, lane: Lane = Lane.EVENTS) -> str:
    """Return the stream of a source's partition; the braces keep its lanes in one slot of a cluster.

    Raises ValueError for a partition outside 0..63.
    """
    if not 0 <= part < PARTITIONS:
        msg = f"a partition lies in 0..{PARTITIONS - 1}, {part} does not"
        raise ValueError(msg)
    name = f"muniment:{{{source}:{part}}}"
    return name if lane is Lane.EVENTS else f"{name}:{lane}"
