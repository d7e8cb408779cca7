"""The worker: acts on events whose order does not matter, each once, by as many processes as one likes.

A consumer group hands events out; an inbox row, committed with the act, makes a repeat a no-op; what
fails again and again becomes a dead letter that can be read and replayed. The group is as disposable as
the stream: its cursor is kept in the worker's own schema.
"""

import asyncio
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.contracts.events import CloudEvent, decode
from libs.db.pool import CrossingDatabase, Transaction
from libs.events.cancellation import stop_if_cancelled
from libs.events.effects import WORLD_AWAY
from libs.events.errors import ReplayFailed
from libs.events.group import Delivery, StreamGroup
from libs.events.letters import DeadLetter, WorkerRows
from libs.events.projection import ProjectionRows
from libs.events.records import Cursors, StreamRecord
from libs.events.reporter import CursorReporter, ReportCursors
from libs.events.signs import ConsumerSigns
from libs.kernel.clock import Clock
from libs.telemetry.metrics import Metrics

Act = Callable[[Transaction, CloudEvent], Awaitable[None]]
"""What a worker does with one event; an effect outside of the transaction may happen twice in a crash."""

TRIES = 5
WAIT_SECONDS = 1.0
CLAIM_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 1.0
INBOX_DAYS = 14


class Worker:
    """One of the processes that share the events of a source under one name."""

    def __init__(  # noqa: PLR0913 - each is a dependency that somebody else owns
        self,
        name: str,
        source: str,
        *,
        instance: str,
        schema: str,
        database: CrossingDatabase,
        redis: Redis,
        act: Act,
        report_cursors: ReportCursors,
        clock: Clock,
        metrics: Metrics,
        idle_seconds: float = 30.0,
    ) -> None:
        """Work as `instance` of the group `name`, with the projection tables of `schema`.

        An event that another instance has held for `idle_seconds` without success is taken over.
        """
        self._signs = ConsumerSigns("worker", name, source, metrics)
        self._group = StreamGroup(redis, source, name, instance)
        self._rows = WorkerRows(schema, name, source)
        self._cursor_rows = ProjectionRows(schema, name, source)
        self._reporter = CursorReporter(name, report_cursors, self._signs)
        self._database = database
        self._act = act
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._claim_at = 0.0

    async def run(self) -> None:
        """Work until cancelled; outages of PostgreSQL and Redis are waited out."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._work())
            tasks.create_task(self._reporter.run(self._advanced_cursors))

    async def work_once(self) -> int:
        """Act on what is there and on what others left lying; return the number of events looked at."""
        await self._join()
        looked_at = 0
        while deliveries := await self._group.read(wait_seconds=0):
            await self._act_on(deliveries)
            looked_at += len(deliveries)
        claimed = await self._group.claim(self._idle_seconds)
        await self._act_on(claimed)
        await self._reporter.report(await self._advanced_cursors())
        return looked_at + len(claimed)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """Return the oldest dead letters."""
        async with self._database.begin() as tx:
            return await self._rows.letters(tx, limit)

    async def replay(self, letter: DeadLetter) -> None:
        """Act on a dead letter and remove it. Raises ReplayFailed when it fails again."""
        record = letter.record
        async with self._database.begin() as tx:
            if not await self._rows.take(tx, record):
                return
            try:
                event, _ = decode(record.body)
                await self._act(tx, event)
            except WORLD_AWAY:
                raise
            except Exception as error:
                reason = type(error).__name__
                raise ReplayFailed(record.tenant, record.part, record.position, reason) from error
            await self._rows.accept(tx, event.id)

    async def _work(self) -> None:
        pause = 0.05
        joined = False
        while True:
            stop_if_cancelled()
            try:
                if not joined:
                    await self._join()
                    joined = True
                await self._act_on(await self._group.read(WAIT_SECONDS))
                await self._claim_when_due()
            except WORLD_AWAY as error:
                self._signs.waits_for("redis" if isinstance(error, RedisError) else "postgresql", error)
                joined = False  # a flush takes the groups away
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self._signs.goes_on()
                pause = 0.05

    async def _claim_when_due(self) -> None:
        now = self._clock.monotonic()
        if now >= self._claim_at:
            self._claim_at = now + CLAIM_SECONDS
            await self._act_on(await self._group.claim(self._idle_seconds))
            async with self._database.begin() as tx:
                await self._rows.forget_before(tx, INBOX_DAYS)

    async def _join(self) -> None:
        async with self._database.begin() as tx:
            await self._cursor_rows.begin_at_zero(tx)
            cursors = await self._cursor_rows.cursors(tx)
        await self._group.join(cursors)

    async def _advanced_cursors(self) -> Cursors:
        """Return below which position everything is done, after keeping that for a group to come."""
        passed = await self._group.passed()
        async with self._database.begin() as tx:
            await self._cursor_rows.move_up(tx, passed)
            return await self._cursor_rows.cursors(tx)

    async def _act_on(self, deliveries: list[Delivery]) -> None:
        done = [delivery for delivery in deliveries if await self._settle(delivery)]
        await self._group.acknowledge([delivery.record for delivery in done])

    async def _settle(self, delivery: Delivery) -> bool:
        """Act on one event; return whether it is done with, be it as a dead letter."""
        record = delivery.record
        try:
            await self._act_once(record)
        except WORLD_AWAY:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the act raised is the event's own trouble
            if delivery.tries < TRIES:
                self._signs.complain("an act failed", error, part=record.part, position=record.position)
                return False
            await self._bury(record, type(error).__name__, delivery.tries)
        return True

    async def _act_once(self, record: StreamRecord) -> None:
        event, _ = decode(record.body)
        async with self._database.begin() as tx:
            if await self._rows.accept(tx, event.id):
                await self._act(tx, event)
                self._signs.took_in(1)

    async def _bury(self, record: StreamRecord, reason: str, tries: int) -> None:
        async with self._database.begin() as tx:
            await self._rows.bury(tx, record, reason, tries)
        self._signs.put_aside(record, reason)
