"""Reading the streams of one source behind given cursors, with every gap filled from the owner's outbox."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis

from libs.contracts.streams import PARTITIONS, stream_name
from libs.events.errors import GapUnfilled
from libs.events.records import Cursors, StreamRecord
from libs.events.signs import ConsumerSigns
from libs.events.stream import id_of, record_of
from libs.kernel.clock import Clock

FetchGap = Callable[[int, int, int], Awaitable[list[StreamRecord]]]
"""(part, after, limit) → the records behind `after`, from the owner's internal route."""

RECORDS_A_PARTITION = 100
STUCK_SECONDS = 0.2
_GAP_RECORDS = 500
_ANSWER_SECONDS = 5.0  # beyond the time that the read may block: a stopped Redis answers nothing


class StreamReader:
    """Gives what follows a cursor, dense and in order, wherever it still exists."""

    def __init__(
        self, redis: Redis, source: str, fetch_gap: FetchGap, clock: Clock, signs: ConsumerSigns
    ) -> None:
        """Read the streams of `source`; `redis` must not decode answers."""
        self._redis = redis
        self._source = source
        self._fetch_gap = fetch_gap
        self._clock = clock
        self._signs = signs
        self._stuck: dict[int, float] = {}  # partition → when its gap is tried again
        self._parts: Mapping[bytes, int] = {
            stream_name(source, part).encode(): part for part in range(PARTITIONS)
        }

    async def read(self, cursors: Cursors, wait_seconds: float) -> dict[int, list[StreamRecord]]:
        """Return the next records of every partition that has some, dense behind its cursor.

        Waits up to `wait_seconds` for the first; 0 looks and returns. A partition whose gap cannot be
        filled says so and is left out for a moment. Raises redis.exceptions.RedisError or TimeoutError.
        """
        now = self._clock.monotonic()
        self._stuck = {part: again for part, again in self._stuck.items() if again > now}
        asked = {part: cursor for part, cursor in cursors.items() if part not in self._stuck}
        found = await self._entries(asked, min(wait_seconds, STUCK_SECONDS) if self._stuck else wait_seconds)
        dense = {part: await self._without_gap(part, cursors[part], found[part]) for part in sorted(found)}
        return {part: records for part, records in dense.items() if records}

    async def _entries(self, cursors: Cursors, wait_seconds: float) -> dict[int, list[StreamRecord]]:
        if not cursors:
            await asyncio.sleep(wait_seconds)
            return {}
        streams: dict[Any, Any] = {stream_name(self._source, part): id_of(cursors[part]) for part in cursors}
        block = max(1, round(wait_seconds * 1000)) if wait_seconds else None
        async with asyncio.timeout(wait_seconds + _ANSWER_SECONDS):
            answer: Any = await self._redis.xread(streams, count=RECORDS_A_PARTITION, block=block)
        return {
            self._parts[name]: [record_of(self._parts[name], entry) for entry in entries]
            for name, entries in answer or ()
        }

    async def _without_gap(
        self, part: int, cursor: int, records: Sequence[StreamRecord]
    ) -> list[StreamRecord]:
        """Return what is dense behind `cursor`: of `records`, or of the outbox when they begin too late."""
        dense = dense_after(cursor, records)
        if dense:
            return dense
        try:
            fetched = dense_after(cursor, await self._fetch_gap(part, cursor, _GAP_RECORDS))
            if not fetched:
                raise GapUnfilled(self._source, part, cursor + 1)  # noqa: TRY301 - one way to be stuck
        except Exception as error:  # noqa: BLE001 - whatever the owner's route raised, other partitions go on
            self._signs.complain("a gap could not be filled", error, part=part, after=cursor)
            self._stuck[part] = self._clock.monotonic() + STUCK_SECONDS
            return []
        self._signs.filled(part, len(fetched))
        return fetched


def dense_after(cursor: int, records: Sequence[StreamRecord]) -> list[StreamRecord]:
    """Return the longest run of `records` whose positions are cursor + 1, cursor + 2, … from the first on."""
    dense: list[StreamRecord] = []
    for expected, record in enumerate(records, start=cursor + 1):
        if record.position != expected:
            break
        dense.append(record)
    return dense
