"""The publisher: copies an outbox to its Redis streams, in order, idempotently, and keeps both short.

It remembers nothing that it could not find out again: where a stream ends is asked of the stream, what
must be in it of the outbox and the consumers' cursors. So it may be killed anywhere, run twice, and find
Redis empty.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import psycopg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.db.errors import DatabaseUnavailable
from libs.db.pool import CrossingDatabase
from libs.events.cancellation import stop_if_cancelled
from libs.events.errors import StreamIncomplete
from libs.events.outbox_reader import RECORDS_A_PARTITION, OutboxReader
from libs.events.shift import Shift
from libs.events.signs import PublisherSigns
from libs.events.stream import StreamCopy
from libs.kernel.clock import Clock
from libs.telemetry.metrics import Metrics

BUSY_SECONDS = 0.02  # a round costs about as much as a hundred events: let some gather
IDLE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
_STEP_SECONDS = 10.0  # a Redis that is stopped, not dead, answers nothing at all

_REDIS_GONE = (RedisError, StreamIncomplete, OSError, TimeoutError)


class Publisher:
    """Publishes the outbox of one source; several may run, and each partition has one at a time."""

    def __init__(
        self,
        database: CrossingDatabase,
        redis: Redis,
        source: str,
        *,
        consumers: Iterable[str],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Publish the schema `source` by the role `<source>_publisher`; `redis` must not decode answers.

        `consumers` are the services that read the source (`libs.contracts.streams.CONSUMERS`): nothing is
        trimmed or dropped that one of them has not taken in, even if it never ran yet.
        """
        self._database = database
        self._stream = StreamCopy(redis, source)
        self._source = source
        self._consumers = tuple(consumers)
        self._clock = clock
        self._signs = PublisherSigns(source, metrics)

    async def run(self) -> None:
        """Publish until cancelled; outages of PostgreSQL and Redis are waited out."""
        while True:
            stop_if_cancelled()
            try:
                async with self._shift() as shift:
                    await self._work(shift)
            except (DatabaseUnavailable, psycopg.Error) as error:
                self._signs.waits_for("postgresql", error)
            await asyncio.sleep(LONGEST_PAUSE_SECONDS)

    async def publish_once(self) -> int:
        """Copy everything that is committed and free to be copied; return the number of events.

        Raises DatabaseUnavailable, redis.exceptions.RedisError or StreamIncomplete.
        """
        async with self._shift() as shift:
            await shift.adopt()
            await shift.check()
            copied = 0
            while newly := await shift.copy():
                copied += newly
            await shift.trim()
            return copied

    async def keep_days(self) -> None:
        """Make the outbox's next days and drop those that every consumer has passed."""
        async with self._shift() as shift:
            await shift.keep_days()

    async def _work(self, shift: Shift) -> None:
        """Publish with one connection until it breaks; pauses grow while nothing comes or Redis is gone."""
        pause = IDLE_SECONDS
        while True:
            stop_if_cancelled()
            try:
                async with asyncio.timeout(_STEP_SECONDS):
                    copied = await shift.step()
            except _REDIS_GONE as error:
                self._signs.waits_for("redis", error)
                shift.doubt()
                pause = min(max(2 * pause, BUSY_SECONDS), LONGEST_PAUSE_SECONDS)
            else:
                self._signs.goes_on()
                pause = pause_after(copied, pause)
            await asyncio.sleep(pause)

    @contextlib.asynccontextmanager
    async def _shift(self) -> AsyncIterator[Shift]:
        """Give a shift on a connection of its own, and release its partitions at the end."""
        async with self._database.lease() as connection:
            reader = OutboxReader(connection, self._source, self._consumers)
            shift = Shift(reader, self._stream, self._clock, self._signs)
            try:
                yield shift
            finally:
                await shift.release()


def pause_after(copied: int, pause: float) -> float:
    """Return how long to wait after a round, given the pause before it; a backlog waits for nothing."""
    if copied >= RECORDS_A_PARTITION:
        return 0.0
    return BUSY_SECONDS if copied else min(max(2 * pause, BUSY_SECONDS), IDLE_SECONDS)
