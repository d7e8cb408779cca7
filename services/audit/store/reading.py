"""A tenant's transaction of reading: the read and its own trace are committed together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from uuid import UUID

from libs.contracts.events import Event
from libs.db.pool import TenantDatabase, Transaction
from libs.events.outbox import OutboxRecord, append, record_of
from libs.kernel.clock import Clock
from libs.kernel.denials import Denial
from libs.kernel.ids import Ids, TenantId
from services.audit.domain.reading import Reading
from services.audit.ports.reading import Fact
from services.audit.store.evidence import PostgresEvidence
from services.audit.store.search import PostgresSearch

SCHEMA: Final = "audit"
_READING: Final = """
INSERT INTO audit.reading (tenant, act, principal, action, log, said, at, count)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
_DENIAL: Final = """
INSERT INTO audit.denial (tenant, act, principal, denied, minute, count) VALUES (%s, %s, %s, %s, %s, %s)
"""


class PostgresLog(PostgresEvidence, PostgresSearch):
    """One tenant's log, as it was published and as it can be searched."""


class PostgresReading:
    """One tenant's transaction."""

    def __init__(self, tx: Transaction, tenant: TenantId, clock: Clock, ids: Ids) -> None:
        """Speak through `tx`, which row-level security binds to `tenant`."""
        self._tx = tx
        self._tenant = tenant
        self._clock = clock
        self._ids = ids
        self.log = PostgresLog(tx, tenant)

    async def record_readings(self, readings: Sequence[tuple[Reading, Fact]]) -> None:
        """Keep reads and publish their facts: the last statements of the transaction."""
        for reading, _ in readings:
            await self._tx.execute(
                _READING,
                (
                    self._tenant,
                    reading.reading,
                    reading.principal,
                    reading.action,
                    reading.log,
                    reading.said,
                    reading.at,
                    reading.times,
                ),
            )
        await append(self._tx, SCHEMA, [self._record_of(fact) for _, fact in readings])

    async def record_denials(self, denials: Sequence[tuple[UUID, Denial, Fact]]) -> None:
        """Keep denials and publish their facts: the last statement of the transaction."""
        for act, denial, _ in denials:
            await self._tx.execute(
                _DENIAL, (self._tenant, act, denial.principal, denial.act, denial.minute, denial.count)
            )
        await append(self._tx, SCHEMA, [self._record_of(fact) for _, _, fact in denials])

    def _record_of(self, fact: Fact) -> OutboxRecord:
        if not isinstance(fact, Event):
            msg = "only events of the contracts are published"
            raise TypeError(msg)
        return record_of(fact, self._tenant, self._ids, self._clock)


class PostgresReadings:
    """Begins transactions of one tenant each."""

    def __init__(self, database: TenantDatabase, clock: Clock, ids: Ids) -> None:
        """Use the pool `database`, of the role audit_app."""
        self._database = database
        self._clock = clock
        self._ids = ids

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[PostgresReading]:
        """Begin a transaction that commits unless its block raises."""
        return self._begin(tenant)

    @asynccontextmanager
    async def _begin(self, tenant: TenantId) -> AsyncIterator[PostgresReading]:
        async with self._database.begin(tenant) as tx:
            yield PostgresReading(tx, tenant, self._clock, self._ids)
