"""The acts that the service's own rows tell of, for whoever compares them with the audit log."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from libs.kernel.ids import TenantId


class CountedActs(NamedTuple):
    """How many acts of each kind and tenant there were when the outbox stood at `positions` (by part)."""

    positions: Mapping[int, int]
    acts: Mapping[tuple[str, TenantId], int]


class Acts(Protocol):
    """Counts acts."""

    async def count(self) -> CountedActs:
        """Return the counts of one snapshot. Raises DatabaseUnavailable."""
        ...
