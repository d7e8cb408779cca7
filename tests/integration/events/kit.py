"""A source and its consumer, both of the sample service, with doors to break them by."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from redis.asyncio import Redis

from libs.contracts.events import CloudEvent, Event, RoleGranted, encode
from libs.contracts.facts import Actor, IdentityFact
from libs.contracts.streams import PARTITIONS, Lane, stream_name
from libs.db.pool import CrossingDatabase, Transaction
from libs.events.effects import Apply, one_by_one
from libs.events.internal import read_outbox, record_cursors
from libs.events.outbox import append
from libs.events.projector import PROMPT, Pace, Projector
from libs.events.publisher import Publisher
from libs.events.records import Cursors, OutboxRecord, StreamRecord
from libs.events.stream import position_of
from libs.events.worker import Act, Worker
from libs.kernel.clock import ManualClock
from libs.kernel.ids import TenantId
from libs.telemetry.metrics import Metrics
from tests.integration.db.sample import SampleDatabase

SOURCE = "sample"
CONSUMER = "reader"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
APPLY = """
    INSERT INTO sample.effect (tenant, event_id, source_part, position) VALUES (%s, %s, %s, %s)
    ON CONFLICT (tenant, event_id) DO UPDATE SET times = sample.effect.times + 1
"""


def event_of(tenant: UUID, part: int, body: bytes | None = None) -> OutboxRecord:
    """Return a record with a new event, or with a body of one's own."""
    record = _record_of(RoleGranted(principal=uuid4(), role="reviewer"), tenant, part)
    return record if body is None else record._replace(body=body)


def fact_of(tenant: UUID, part: int) -> OutboxRecord:
    """Return a record with a new fact."""
    fact = IdentityFact(act=uuid4(), action="identity.role.granted", actor=Actor(kind="operator"), at=NOW)
    return _record_of(fact, tenant, part)


def _record_of(event: Event, tenant: UUID, part: int) -> OutboxRecord:
    encoded = encode(event, id=uuid4(), time=NOW, tenant=tenant, subject=str(part))
    return OutboxRecord(part, TenantId(tenant), event.name, encoded)


async def apply_effect(tx: Transaction, event: CloudEvent, position: int) -> None:
    """Count how often an event had its effect."""
    await tx.execute(APPLY, (event.tenant, event.id, int(event.subject or 0), position))


@dataclass
class House:
    """One source with one consumer, and what they were told and asked."""

    writer: CrossingDatabase
    publishing: CrossingDatabase
    consuming: CrossingDatabase
    admin: psycopg.AsyncConnection
    redis: Redis
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    metrics: Metrics = field(default_factory=lambda: Metrics("test"))
    gaps_asked: list[tuple[int, int]] = field(default_factory=list)
    owner_is_down: bool = False

    async def write(self, records: Sequence[OutboxRecord]) -> None:
        """Append `records` in one transaction."""
        async with self.writer.begin() as tx:
            await append(tx, SOURCE, records)

    async def write_some(self, tenant: UUID, part: int, count: int) -> None:
        """Append `count` new events, each in a transaction of its own."""
        for _ in range(count):
            await self.write([event_of(tenant, part)])

    def publisher(self, consumers: Iterable[str] = (CONSUMER,)) -> Publisher:
        """Return a publisher, as a process starts one."""
        return Publisher(
            self.publishing, self.redis, SOURCE, consumers=consumers, clock=self.clock, metrics=self.metrics
        )

    def projector(
        self,
        apply: Apply = apply_effect,
        name: str = CONSUMER,
        parts: Iterable[int] = range(PARTITIONS),
        lane: Lane = Lane.EVENTS,
        names: Container[str] | None = None,
        pace: Pace = PROMPT,
    ) -> Projector:
        """Return a projector, as a process starts one."""
        return Projector(
            name,
            SOURCE,
            schema="sample",
            database=self.consuming,
            redis=self.redis,
            apply=one_by_one(apply),
            fetch_gap=self.fetch_gap,
            report_cursors=self.report,
            clock=self.clock,
            metrics=self.metrics,
            parts=parts,
            lane=lane,
            pace=pace,
            names=names,
        )

    def worker(self, act: Act, instance: str = "one", name: str = CONSUMER) -> Worker:
        """Return a worker that takes over at once what another instance did not finish."""
        return Worker(
            name,
            SOURCE,
            instance=instance,
            schema="sample",
            database=self.consuming,
            redis=self.redis,
            act=act,
            report_cursors=self.report,
            clock=self.clock,
            metrics=self.metrics,
            idle_seconds=0.0,
        )

    async def fetch_gap(self, part: int, after: int, limit: int) -> list[StreamRecord]:
        """Answer as the owner's internal route does."""
        self.gaps_asked.append((part, after))
        if self.owner_is_down:
            raise ConnectionError
        async with self.publishing.begin() as tx:
            return await read_outbox(tx, SOURCE, part, after, limit)

    async def report(self, consumer: str, cursors: Cursors) -> None:
        """Take cursors as the owner's internal route does."""
        async with self.publishing.begin() as tx:
            await record_cursors(tx, SOURCE, consumer, cursors)

    async def entries(self, part: int, lane: Lane = Lane.EVENTS) -> list[int]:
        """Return the positions that a lane of a partition holds."""
        entries: Any = await self.redis.xrange(stream_name(SOURCE, part, lane))
        return [position_of(identifier) for identifier, _ in entries]

    async def all_entries(self) -> dict[int, list[int]]:
        """Return the positions of every stream that holds any."""
        found = {part: await self.entries(part) for part in range(PARTITIONS)}
        return {part: positions for part, positions in found.items() if positions}

    async def effects(self) -> dict[int, list[tuple[int, int]]]:
        """Return for each partition (position, times) of its effects, in the order of their making."""
        cursor = await self.admin.execute(
            "SELECT source_part, position, times FROM sample.effect ORDER BY source_part, place"
        )
        found: dict[int, list[tuple[int, int]]] = {}
        for part, position, times in await cursor.fetchall():
            found.setdefault(part, []).append((position, times))
        return found

    async def parked(self) -> list[tuple[UUID, int, int, str]]:
        """Return (tenant, part, position, reason) of what is parked."""
        cursor = await self.admin.execute(
            "SELECT tenant, part, position, reason FROM sample.parked ORDER BY part, position"
        )
        return [tuple(row) for row in await cursor.fetchall()]

    async def count(self, table: str) -> int:
        """Return the number of rows of a table of the sample."""
        row = await (await self.admin.execute(f"SELECT count(*) FROM sample.{table}")).fetchone()
        assert row is not None
        return int(row[0])


@asynccontextmanager
async def house_of(sample: SampleDatabase, redis: Redis) -> AsyncIterator[House]:
    """Open everything, and close it afterwards."""
    async with AsyncExitStack() as stack:
        databases = {}
        for role in ("writer", "publisher", "consumer"):
            databases[role] = CrossingDatabase(sample.dsn(f"sample_{role}"), role, max_size=8)
            await databases[role].open()
            stack.push_async_callback(databases[role].close)
        connection = await psycopg.AsyncConnection.connect(sample.admin.reveal(), autocommit=True)
        admin = await stack.enter_async_context(connection)
        stack.push_async_callback(redis.aclose)
        yield House(databases["writer"], databases["publisher"], databases["consumer"], admin, redis)


@asynccontextmanager
async def running(*processes: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run endless processes beside the block, and see each of them stop at the first word."""
    tasks = [asyncio.create_task(process) for process in processes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        _, deaf = await asyncio.wait(tasks, timeout=10)
        assert not deaf


async def until(holds: Callable[[], Awaitable[bool]], clock: ManualClock) -> None:
    """Wait for real processes, within bounds, while the clock of their duties goes on."""
    async with asyncio.timeout(30):
        while not await holds():
            clock.advance(0.5)
            await asyncio.sleep(0.02)


async def somebody_waits(house: House) -> bool:
    """Say whether a writer waits for a row that another one holds."""
    cursor = await house.admin.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return await cursor.fetchone() is not None


def once_each(effects: dict[int, list[tuple[int, int]]], heads: dict[int, int]) -> bool:
    """Say whether every position up to each head had one effect, in order: the checker of all proofs."""
    expected = {part: [(at, 1) for at in range(1, head + 1)] for part, head in heads.items() if head}
    return effects == expected
