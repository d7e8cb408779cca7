"""What writing the log needs: a journal to sequence into."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from libs.kernel.ids import TenantId
from services.audit.domain.entries import Entry


class Journal(Protocol):
    """The entries of all logs, within one transaction that somebody else commits."""

    async def lock_logs(self, tenants: Collection[TenantId]) -> dict[TenantId, int]:
        """Return how many entries each log has; nobody else can add any before the transaction ends.

        A log that was not there begins.
        """
        ...

    async def append(self, entries: Sequence[Entry], sizes: Mapping[TenantId, int]) -> None:
        """Add `entries`, and note the new `sizes` of their (locked) logs."""
        ...
