"""What writing the log needs: a journal to sequence into, a ledger of trees, and a key."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from libs.kernel.ids import TenantId
from services.audit.domain.entries import Entry
from services.audit.domain.trees import FullTile


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


class Standing(NamedTuple):
    """How far a log is: entries with an index, and those of them whose hashes are in the tree."""

    tenant: TenantId
    sequenced: int
    integrated: int


class PublishedHead(NamedTuple):
    """The largest checkpoint of a log that was signed."""

    size: int
    root: bytes


class Checkpoint(NamedTuple):
    """A signed statement that the log of `size` entries has `root`."""

    size: int
    root: bytes
    note: str
    at: datetime


class Growth(NamedTuple):
    """What one round adds to one log."""

    tenant: TenantId
    integrated_before: int
    integrated: int
    tiles: tuple[FullTile, ...]
    checkpoint: Checkpoint | None


class Ledger(Protocol):
    """The trees of all logs, in the hands of the one integrator."""

    async def standings(self) -> list[Standing]:
        """Return where every log is."""
        ...

    async def find_published(self, tenant: TenantId) -> PublishedHead | None:
        """Return the largest checkpoint of a log, None before the first."""
        ...

    async def leaf_hashes(self, tenant: TenantId, first: int, count: int) -> list[bytes]:
        """Return the hashes of up to `count` leaves from the index `first` on, in order, without a gap.

        Raises LogDamaged at an index that is missing.
        """
        ...

    async def tiles(self, tenant: TenantId, level: int, first: int, count: int) -> list[bytes]:
        """Return `count` full tiles of a level from the number `first` on. Raises LogDamaged."""
        ...

    async def grow(self, growths: Sequence[Growth]) -> None:
        """Write what a round adds, all or nothing. Raises IntegrationLost."""
        ...


class CheckpointSigner(Protocol):
    """A key that signs checkpoints now."""

    def sign(self, origin: str, size: int, root: bytes) -> str:
        """Return the signed note of a checkpoint. Source: C2SP tlog-checkpoint, signed-note."""
        ...


class CheckpointKey(Protocol):
    """The leased key of checkpoints."""

    async def get_signer(self) -> CheckpointSigner:
        """Return who signs now. Raises SigningUnavailable."""
        ...
