"""Reading the streams of one source behind given cursors, with every gap filled from the owner's outbox."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis

from libs.contracts.streams import PARTITIONS, Lane, stream_name
from libs.events.errors import GapUnfilled
from libs.events.records import Cursors, StreamItem, StreamRecord, dense_after, in_lane
from libs.events.signs import ConsumerSigns
from libs.events.stream import id_of, item_of
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
        self,
        redis: Redis,
        source: str,
        fetch_gap: FetchGap,
        clock: Clock,
        signs: ConsumerSigns,
        lane: Lane = Lane.EVENTS,
        records_a_partition: int = RECORDS_A_PARTITION,
    ) -> None:
        """Read one lane of `source`, so many records of each partition at a time.

        `redis` must not decode answers.
        """
        self._redis = redis
        self._lane = lane
        self._source = source
        self._fetch_gap = fetch_gap
        self._clock = clock
        self._signs = signs
        self._records_a_partition = records_a_partition
        self._stuck: dict[int, float] = {}  # partition → when its gap is tried again
        self._names = [stream_name(source, part, lane).encode() for part in range(PARTITIONS)]
        self._parts: Mapping[bytes, int] = {name: part for part, name in enumerate(self._names)}

    async def read(self, cursors: Cursors, wait_seconds: float) -> dict[int, list[StreamItem]]:
        """Return what follows in every partition that has something, dense behind its cursor.

        Waits up to `wait_seconds` for the first; 0 looks and returns. A partition whose gap cannot be
        filled says so and is left out for a moment. Raises redis.exceptions.RedisError or TimeoutError.
        """
        now = self._clock.monotonic()
        self._stuck = {part: again for part, again in self._stuck.items() if again > now}
        asked = {part: cursor for part, cursor in cursors.items() if part not in self._stuck}
        found = await self._entries(asked, min(wait_seconds, STUCK_SECONDS) if self._stuck else wait_seconds)
        dense = {part: await self._without_gap(part, cursors[part], found[part]) for part in sorted(found)}
        return {part: items for part, items in dense.items() if items}

    async def _entries(self, cursors: Cursors, wait_seconds: float) -> dict[int, list[StreamItem]]:
        if not cursors:
            await asyncio.sleep(wait_seconds)
            return {}
        streams: dict[Any, Any] = {self._names[part]: id_of(cursor) for part, cursor in cursors.items()}
        block = max(1, round(wait_seconds * 1000)) if wait_seconds else None
        async with asyncio.timeout(wait_seconds + _ANSWER_SECONDS):
            answer: Any = await self._redis.xread(streams, count=self._records_a_partition, block=block)
        return {
            self._parts[name]: [item_of(self._parts[name], entry) for entry in entries]
            for name, entries in answer or ()
        }

    async def _without_gap(self, part: int, cursor: int, items: Sequence[StreamItem]) -> list[StreamItem]:
        """Return what is dense behind `cursor`: of `items`, or of the outbox when they begin too late."""
        dense = dense_after(cursor, items)
        if dense:
            return dense
        try:
            missing = await self._fetch_gap(part, cursor, _GAP_RECORDS)
            fetched = dense_after(cursor, in_lane(missing, self._lane))
            if not fetched:
                raise GapUnfilled(self._source, part, cursor + 1)  # noqa: TRY301 - one way to be stuck
        except Exception as error:  # noqa: BLE001 - whatever the owner's route raised, other partitions go on
            self._signs.complain("a gap could not be filled", error, part=part, after=cursor)
            self._stuck[part] = self._clock.monotonic() + STUCK_SECONDS
            return []
        self._signs.filled(part, len(fetched))
        return fetched
