"""A process whose place as integrator another one took shows nothing of what it saw when it was."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.host.leases import LeasedSigner
from libs.kernel.clock import ManualClock
from libs.kernel.ids import TenantId
from libs.telemetry.metrics import Metrics
from services.audit.adapters.prometheus import IntegrationSigns
from services.audit.domain.growth import Growth, Published, Span, Standing
from services.audit.usecases.integrate import Integrate

TENANT = TenantId(UUID(int=1))
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class ConnectionLostError(Exception):
    """The database went away."""


class DamagedLedger:
    """A ledger of one log that has no entry where it should; the connection is lost after a round."""

    rounds = 0

    async def behind(self) -> list[Standing]:
        self.rounds += 1
        if self.rounds > 1:
            raise ConnectionLostError
        return [Standing(TENANT, 5, 0)]

    async def find_published(self, _tenant: TenantId) -> Published | None:
        return None

    async def leaf_hashes(self, _spans: Sequence[Span]) -> dict[TenantId, list[bytes]]:
        return {}

    async def full_tiles(self, _tenant: TenantId, _level: int, _first: int, _count: int) -> list[bytes]:
        return []

    async def grow(self, _growths: Sequence[Growth]) -> None:
        raise AssertionError


class Ledgers:
    """Gives the ledger once, and then to another process."""

    ledgers: list[DamagedLedger | None]

    def __init__(self) -> None:
        self.ledgers = [DamagedLedger()]

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[DamagedLedger | None]:
        yield self.ledgers.pop() if self.ledgers else None


class Keys:
    """One key, always."""

    signer: LeasedSigner | None = LeasedSigner(bytes(32))

    async def find_signer(self) -> LeasedSigner | None:
        return self.signer


@pytest.mark.parametrize("has_key", [True, False])
async def test_who_stands_by_rings_no_alarm_of_his_time_as_integrator(has_key: bool) -> None:
    metrics, keys = Metrics("audit"), Keys()
    keys.signer = keys.signer if has_key else None
    signs = IntegrationSigns(metrics)
    integrate = Integrate(Ledgers(), keys, "test.example", ManualClock(NOON), signs)
    with pytest.raises(ConnectionLostError):
        await integrate.run()
    assert (b"muniment_audit_damaged_logs 1.0" in metrics.exposition()) == has_key
    assert await signs.has_key() == has_key
    assert b"muniment_audit_waiting 5.0" in metrics.exposition()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(integrate.run(), 0.05)
    assert b"muniment_audit_damaged_logs 0.0" in metrics.exposition()
    assert b"muniment_audit_waiting 0.0" in metrics.exposition()
    assert await signs.has_key()
