"""What growing the trees needs: the ledger of all logs, a key to sign with, and somebody to tell."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from libs.kernel.ids import TenantId
from services.audit.domain.errors import LogDamaged
from services.audit.domain.growth import Growth, Published, Span, Standing


class Ledger(Protocol):
    """The trees of all logs, for the one integrator at a time that holds their lock."""

    async def behind(self) -> list[Standing]:
        """Return the logs that have entries which no tree has yet."""
        ...

    async def find_published(self, tenant: TenantId) -> Published | None:
        """Return the largest checkpoint of a log, None before the first."""
        ...

    async def leaf_hashes(self, spans: Sequence[Span]) -> dict[TenantId, list[bytes]]:
        """Return the leaf hashes of each span that are there, in order from its first on."""
        ...

    async def full_tiles(self, tenant: TenantId, level: int, first: int, count: int) -> list[bytes]:
        """Return full tiles in order. Raises LogDamaged at one that is missing."""
        ...

    async def grow(self, growths: Sequence[Growth]) -> None:
        """Write tiles, checkpoints and sizes, all or nothing. Raises GrowthRefused."""
        ...


class Ledgers(Protocol):
    """Where the ledger is to be had."""

    def hold(self) -> AbstractAsyncContextManager[Ledger | None]:
        """Give the ledger to the one integrator; None while another one has it."""
        ...


class Signer(Protocol):
    """Signs with one Ed25519 key."""

    public: bytes

    def sign(self, data: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        ...


class CheckpointKey(Protocol):
    """The key that signs checkpoints at present."""

    async def find_signer(self) -> Signer | None:
        """Return a signer for this round, None while there is no key."""
        ...


class Signs(Protocol):
    """What integration shows of itself."""

    def integrated(self, entries: int, waiting: int) -> None:
        """Say how many entries got into their trees, and how many wait."""
        ...

    def waits_for_key(self, *, waits: bool) -> None:
        """Say whether there is a key to sign with."""
        ...

    def stands_by(self) -> None:
        """Say nothing any more of what was seen before: another process integrates."""
        ...

    def damaged(self, damage: LogDamaged) -> None:
        """Say that a log cannot grow, and why."""
        ...

    def damaged_logs(self, count: int) -> None:
        """Say how many logs cannot grow at present."""
        ...
