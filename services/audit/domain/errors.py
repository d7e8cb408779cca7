"""What the audit service refuses, and why."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError
from libs.kernel.ids import TenantId


@dataclass(eq=False)
class ForeignFact(DomainError):
    """A stream carries a fact of another source or another tenant than its own record says."""

    source: str
    part: int
    position: int


@dataclass(eq=False)
class LogDamaged(DomainError):
    """What is stored of a log does not lead to its own last checkpoint: nothing is signed over it.

    `index` is the first entry that is missing or wrong, where that is known.
    """

    tenant: TenantId
    reason: str
    index: int | None = None


@dataclass(eq=False)
class GrowthRefused(DomainError):
    """The tables refuse what a log's tree grew by: something stands there already, or moved meanwhile."""

    reason: str


@dataclass(eq=False)
class EntryNotFound(DomainError):
    """There is nothing of that kind for this reader: absent, not yet covered and forbidden are one answer."""

    what: str


@dataclass(eq=False)
class RangeRefused(DomainError):
    """The log, whose largest checkpoint covers `size` entries, has no such index, size or checkpoint."""

    size: int


@dataclass(eq=False)
class RangeTooLong(DomainError):
    """More entries are asked for at once than are given at once."""

    most: int
