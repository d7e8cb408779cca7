"""What verifying a log where it is stored needs: its rows, as they all were at one moment."""

from typing import Protocol

from libs.evidence.log import LogSource
from libs.kernel.ids import TenantId
from services.audit.domain.stored import EntryRows, Extent


class StoredLog(LogSource, Protocol):
    """One log, read by one snapshot; LookupError says that a part of it is not there."""

    @property
    def tenant(self) -> TenantId:
        """Whose log it is."""
        ...

    def extent(self) -> Extent:
        """Return the log's own sizes, and those of its tables."""
        ...

    def published(self) -> int:
        """Return the size of the largest checkpoint, 0 before the first."""
        ...

    def entry(self, index: int) -> EntryRows:
        """Return the rows of an entry. Raises LookupError."""
        ...
