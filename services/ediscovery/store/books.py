"""The books of eDiscovery in PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from uuid import UUID

from libs.contracts.events import Event
from libs.db.pool import TenantDatabase, Transaction
from libs.events.outbox import append, record_of
from libs.kernel.clock import Clock
from libs.kernel.denials import Denial
from libs.kernel.ids import Ids, TenantId
from services.ediscovery.ports.books import Outgoing

SCHEMA: Final = "ediscovery"

_DENIAL: Final = """
    INSERT INTO ediscovery.denial (tenant, act, principal, denied, minute, count)
    VALUES (%s, %s, %s, %s, %s, %s)"""


class PostgresBook:
    """One tenant's books within one transaction."""

    def __init__(self, tx: Transaction, tenant: TenantId, clock: Clock, ids: Ids) -> None:
        """Speak through `tx`, which row-level security binds to `tenant`."""
        self._tx = tx
        self._tenant = tenant
        self._clock = clock
        self._ids = ids

    async def record_denials(self, denials: Sequence[tuple[UUID, Denial]]) -> None:
        """Keep denials, each under its id."""
        for act, denial in denials:
            await self._tx.execute(
                _DENIAL, (self._tenant, act, denial.principal, denial.act, denial.minute, denial.count)
            )

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Append events to the outbox: the last statement. Raises TypeError for what is none."""
        records = []
        for event in events:
            if not isinstance(event, Event):
                msg = "only events of the contracts are published"
                raise TypeError(msg)
            records.append(record_of(event, self._tenant, self._ids, self._clock))
        await append(self._tx, SCHEMA, records)


class PostgresBooks:
    """Begins transactions of one tenant each."""

    def __init__(self, database: TenantDatabase, clock: Clock, ids: Ids) -> None:
        """Use the pool `database`, of the role ediscovery_app."""
        self._database = database
        self._clock = clock
        self._ids = ids

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[PostgresBook]:
        """Begin a transaction that commits unless its block raises."""
        return self._begin(tenant)

    @asynccontextmanager
    async def _begin(self, tenant: TenantId) -> AsyncIterator[PostgresBook]:
        async with self._database.begin(tenant) as tx:
            yield PostgresBook(tx, tenant, self._clock, self._ids)
