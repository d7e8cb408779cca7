"""What counting needs: the sources of acts, the logs of all tenants, and whom to tell."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from libs.kernel.ids import TenantId
from services.audit.domain.errors import LogDamaged
from services.audit.domain.reconciling import CountedActs, Positions, Reconciliation, Standing


class Progress(NamedTuple):
    """Of one snapshot: up to where facts are entries, by source, and how far each log is."""

    cursors: Mapping[str, Positions]
    logs: Mapping[TenantId, Standing]


class Books(Protocol):
    """The logs of all tenants, to be counted."""

    async def progress(self, sources: Iterable[str]) -> Progress:
        """Return how far `sources` and logs are."""
        ...

    async def details_counted(self, source: str, positions: Positions) -> dict[tuple[TenantId, str], int]:
        """Return the number of details by tenant and action whose facts lie within `positions`."""
        ...

    async def leaves(self, tenant: TenantId, first: int, count: int) -> list[bytes]:
        """Return `count` leaves of a log from the index `first` on. Raises LogDamaged at a gap."""
        ...


class ActsOfSource(Protocol):
    """A source of facts that counts its acts."""

    async def find_acts(self) -> CountedActs | None:
        """Return its acts by its domain rows, with its outbox's heads; None while it cannot be asked."""
        ...


class Alarm(Protocol):
    """Tells whoever runs the platform."""

    def counted(self, found: Reconciliation) -> None:
        """Say which acts and entries disagree, and what could not be compared; neither ends the alarm."""
        ...

    def damaged(self, damage: LogDamaged) -> None:
        """Say that a log cannot be walked, and was left out."""
        ...
