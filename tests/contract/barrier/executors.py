"""The executors' own databases, with a hold to take in and things to destroy behind their barrier."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

import psycopg

from libs.barrier.door import hold_door
from libs.barrier.errors import GenerationPassed
from libs.barrier.generation import share_generation
from libs.contracts.cloudevents import Event
from libs.contracts.events import decode, encode
from libs.contracts.holds import (
    EdiscoveryGenerationConfirmed,
    GenerationConfirmed,
    HoldPlaced,
    HoldReleased,
    KeysGenerationConfirmed,
    MessagingGenerationConfirmed,
)
from libs.db.pool import CrossingDatabase, TenantDatabase, Transaction
from libs.events.records import StreamRecord, partition_of
from libs.kernel.clock import ManualClock
from libs.kernel.ids import SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from tests.support.engines import ServiceDatabase

EXECUTORS: Final[dict[str, type[GenerationConfirmed]]] = {
    "messaging": MessagingGenerationConfirmed,
    "keys": KeysGenerationConfirmed,
    "ediscovery": EdiscoveryGenerationConfirmed,
}
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

Share = Callable[[Transaction, str, TenantId, int], Awaitable[None]]
"""How a destroyer passes the barrier: `libs.barrier.generation.share_generation` is the right way."""


@dataclass
class Executor:
    """One executor: the projector's side and the destroyers' side of its database."""

    schema: str
    projecting: CrossingDatabase
    destroying: TenantDatabase
    admin: psycopg.AsyncConnection
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    positions: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids = SystemIds(self.clock, SystemRandomness())
        self.apply = hold_door(self.schema, EXECUTORS[self.schema], self.clock, ids)

    async def take_in(self, *records: StreamRecord) -> None:
        """Apply records as the projector does: in one transaction."""
        async with self.projecting.begin() as tx:
            await self.apply(tx, records)

    def record(self, tenant: TenantId, event: Event) -> StreamRecord:
        """Return an event of `tenant` as it comes by the stream."""
        part = partition_of(tenant)
        self.positions[part] = self.positions.get(part, 0) + 1
        body = encode(event, id=uuid4(), time=NOW, tenant=tenant)
        return StreamRecord(part, self.positions[part], tenant, event.name, body)

    def placed(self, tenant: TenantId, generation: int, hold: UUID | None = None) -> StreamRecord:
        return self.record(tenant, HoldPlaced(hold=hold or uuid4(), generation=generation))

    def released(self, tenant: TenantId, generation: int, hold: UUID) -> StreamRecord:
        return self.record(tenant, HoldReleased(hold=hold, generation=generation))

    async def confirmed(self, tenant: TenantId) -> list[int]:
        """Return the generations that the executor confirmed, in the order of its outbox."""
        cursor = await self.admin.execute(
            f"SELECT body FROM {self.schema}.outbox WHERE tenant = %s ORDER BY part, position".encode(),
            (tenant,),
        )
        events = [decode(body)[1] for (body,) in await cursor.fetchall()]
        return [event.generation for event in events if isinstance(event, GenerationConfirmed)]

    async def somebody_waits(self) -> bool:
        """Say whether a transaction waits for a row that another one holds."""
        cursor = await self.admin.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return await cursor.fetchone() is not None


@asynccontextmanager
async def executor_of(schema: str, database: ServiceDatabase) -> AsyncIterator[Executor]:
    """Open an executor, with a table of things to destroy."""
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(
            await psycopg.AsyncConnection.connect(database.admin_dsn.reveal(), autocommit=True)
        )
        await admin.execute("CREATE TABLE public.destroyed (tenant uuid NOT NULL, item uuid NOT NULL)")
        await admin.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
        await admin.execute("GRANT SELECT, INSERT ON public.destroyed TO PUBLIC")
        projecting = CrossingDatabase(database.dsn(f"{schema}_projector"), f"{schema}-projector")
        destroying = TenantDatabase(database.dsn(f"{schema}_app"), schema)
        for pool in (projecting, destroying):
            await pool.open()
            stack.push_async_callback(pool.close)
        yield Executor(schema, projecting, destroying, admin)


async def destroyed_after_confirmation(
    executor: Executor, tenant: TenantId, generation: int, share: Share = share_generation
) -> int:
    """Return how many things were destroyed by orders of `generation` after the next one was confirmed.

    This is the judge of the barrier: 0 is the only right answer. Some destroyers have begun and go on for a
    while, when a change of holds comes; others begin while it waits, and after it.
    """
    begun = asyncio.Event()
    going_on = asyncio.Event()

    async def destroy(wait: bool) -> None:
        async with executor.destroying.begin(tenant) as tx:
            await share(tx, executor.schema, tenant, generation)
            begun.set()
            if wait:
                await going_on.wait()
            await tx.execute("INSERT INTO public.destroyed VALUES (%s, %s)", (tenant, uuid4()))

    async def count() -> int:
        cursor = await executor.admin.execute(
            "SELECT count(*) FROM public.destroyed WHERE tenant = %s", (tenant,)
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    before = [asyncio.create_task(destroy(wait=True)) for _ in range(2)]
    await begun.wait()
    change = asyncio.create_task(executor.take_in(executor.placed(tenant, generation + 1)))
    for _ in range(100):
        if change.done() or await executor.somebody_waits():
            break
        await asyncio.sleep(0.02)
    meanwhile = [asyncio.create_task(destroy(wait=False)) for _ in range(2)]
    await asyncio.sleep(0.1)
    # Where the change was confirmed already, what is destroyed from here on is destroyed too late.
    at_confirmation = await count() if change.done() else None
    going_on.set()
    await change
    if at_confirmation is None:
        at_confirmation = await count()
    after = [asyncio.create_task(destroy(wait=False)) for _ in range(2)]
    await _ended([*before, *meanwhile, *after])
    return await count() - at_confirmation


async def _ended(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Wait for all; those that were refused have destroyed nothing."""
    async with asyncio.timeout(20):
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refusals = (GenerationPassed, type(None))
    assert all(isinstance(outcome, refusals) for outcome in outcomes), outcomes
