"""The consumer groups of one worker over the streams of one source."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from libs.contracts.streams import PARTITIONS, stream_name
from libs.events.records import Cursors, StreamItem, StreamRecord
from libs.events.stream import id_of, item_of, position_of

_RECORDS_A_PARTITION = 10
_CLAIMED_A_PARTITION = 50
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record that was handed to this instance, and how often it was handed out to anyone."""

    record: StreamRecord
    tries: int


class StreamGroup:
    """The group `name` of every partition's stream, seen by one of its instances."""

    def __init__(self, redis: Redis, source: str, name: str, instance: str) -> None:
        """Read the streams of `source`; `redis` must not decode answers."""
        self._redis = redis
        self._name = name
        self._instance = instance
        self._streams = [stream_name(source, part) for part in range(PARTITIONS)]
        self._parts = {stream.encode(): part for part, stream in enumerate(self._streams)}

    async def join(self, cursors: Cursors) -> None:
        """Make the groups that are missing, each behind its cursor: what lies below is done."""
        pipeline = self._redis.pipeline(transaction=False)
        for part, stream in enumerate(self._streams):
            pipeline.xgroup_create(stream, self._name, id=id_of(cursors.get(part, 0)), mkstream=True)
        for answer in await pipeline.execute(raise_on_error=False):
            if isinstance(answer, Exception) and not _exists_already(answer):
                raise answer

    async def read(self, wait_seconds: float) -> list[Delivery]:
        """Return records that nobody was given yet; wait up to `wait_seconds` for the first entry."""
        streams: dict[Any, Any] = dict.fromkeys(self._streams, ">")
        block = max(1, round(wait_seconds * 1000)) if wait_seconds else None
        async with asyncio.timeout(wait_seconds + _ANSWER_SECONDS):
            answer: Any = await self._redis.xreadgroup(
                self._name, self._instance, streams, count=_RECORDS_A_PARTITION, block=block
            )
        items = [item_of(self._parts[stream], entry) for stream, entries in answer or () for entry in entries]
        records = await self._without_passages(items)
        if items and not records:
            return await self.read(0)
        return [Delivery(record, 1) for record in records]

    async def claim(self, idle_seconds: float) -> list[Delivery]:
        """Take over records that were handed out `idle_seconds` ago and not acknowledged since."""
        idle = round(idle_seconds * 1000)
        pipeline = self._redis.pipeline(transaction=False)
        for stream in self._streams:
            pipeline.xautoclaim(
                stream, self._name, self._instance, min_idle_time=idle, count=_CLAIMED_A_PARTITION
            )
        answers = await pipeline.execute()
        claimed = [
            item_of(part, entry)
            for part, answer in enumerate(answers)
            for entry in answer[1]
            if entry[1] is not None
        ]
        return await self._with_tries(await self._without_passages(claimed))

    async def acknowledge(self, items: Sequence[StreamItem]) -> None:
        """Tell the groups that these are done with."""
        if not items:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for item in items:
            pipeline.xack(self._streams[item.part], self._name, id_of(item.position))
        await pipeline.execute()

    async def _without_passages(self, items: Sequence[StreamItem]) -> list[StreamRecord]:
        """Return the records, and acknowledge the rest: nobody has anything to do there."""
        await self.acknowledge([item for item in items if not isinstance(item, StreamRecord)])
        return [item for item in items if isinstance(item, StreamRecord)]

    async def passed(self) -> Cursors:
        """Return for each partition the position up to which every record is done with."""
        pipeline = self._redis.pipeline(transaction=False)
        for stream in self._streams:
            pipeline.xpending(stream, self._name)
            pipeline.xinfo_groups(stream)
        answers = await pipeline.execute()
        return {
            part: self._passed(pending, groups)
            for part, (pending, groups) in enumerate(zip(answers[::2], answers[1::2], strict=True))
        }

    def _passed(self, pending: Any, groups: Any) -> int:
        if pending["pending"]:
            return position_of(pending["min"]) - 1
        delivered = next(
            group["last-delivered-id"] for group in groups if group["name"] == self._name.encode()
        )
        return position_of(delivered)

    async def _with_tries(self, records: Sequence[StreamRecord]) -> list[Delivery]:
        if not records:
            return []
        pipeline = self._redis.pipeline(transaction=False)
        for record in records:
            identifier = id_of(record.position)
            pipeline.xpending_range(self._streams[record.part], self._name, identifier, identifier, 1)
        answers = await pipeline.execute()
        return [
            Delivery(record, answer[0]["times_delivered"] if answer else 1)
            for record, answer in zip(records, answers, strict=True)
        ]


def _exists_already(answer: Exception) -> bool:
    return isinstance(answer, ResponseError) and "BUSYGROUP" in str(answer)
