"""The copy of an outbox in Redis streams: disposable, idempotent to write, numbered like its source."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from redis.typing import EncodableT, FieldT

from libs.contracts.streams import stream_name
from libs.events.errors import StreamIncomplete
from libs.events.records import Cursors, StreamRecord
from libs.kernel.ids import TenantId

_REPEATED = "equal or smaller"

Entry = tuple[bytes, Mapping[bytes, bytes]]


def id_of(position: int) -> str:
    """Return the id of the entry at `position` of its partition."""
    return f"{position}-0"


def position_of(identifier: bytes) -> int:
    """Return the position that an entry's id carries."""
    return int(identifier.partition(b"-")[0])


def fields_of(record: StreamRecord) -> dict[FieldT, EncodableT]:
    """Return the fields of a record's entry."""
    return {"t": record.tenant.bytes, "n": record.name, "b": record.body}


def record_of(part: int, entry: Entry) -> StreamRecord:
    """Return the record of an entry read from the stream of `part`."""
    identifier, fields = entry
    tenant = TenantId(UUID(bytes=bytes(fields[b"t"])))
    return StreamRecord(part, position_of(identifier), tenant, fields[b"n"].decode(), fields[b"b"])


class StreamCopy:
    """The streams of one source, written in pipelines by its publisher."""

    def __init__(self, redis: Redis, source: str) -> None:
        """Write the streams of `source` by `redis`, a client that does not decode."""
        self._redis = redis
        self._source = source

    async def last_positions(self, parts: Iterable[int]) -> dict[int, int | None]:
        """Return the position of each stream's last entry, None where there is no entry."""
        asked = tuple(parts)
        pipeline = self._redis.pipeline(transaction=False)
        for part in asked:
            pipeline.xrevrange(stream_name(self._source, part), count=1)
        answers = await pipeline.execute()
        return {
            part: position_of(answer[0][0]) if answer else None
            for part, answer in zip(asked, answers, strict=True)
        }

    async def add(self, records: Sequence[StreamRecord]) -> tuple[Cursors, StreamIncomplete | None]:
        """Copy `records` in one pipeline; return how far each partition now goes, and what was refused.

        Redis refuses an id that is not above the last one: a repeat is a success. A partition goes as
        far as the last record before its first refusal.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for record in records:
            pipeline.xadd(
                stream_name(self._source, record.part), fields_of(record), id=id_of(record.position)
            )
        answers = await pipeline.execute(raise_on_error=False)
        reached: Cursors = {}
        refused: dict[int, BaseException] = {}
        for record, answer in zip(records, answers, strict=True):
            if _is_refusal(answer):
                refused.setdefault(record.part, answer)
            if record.part not in refused:
                reached[record.part] = record.position
        return reached, StreamIncomplete(self._source, len(refused)) if refused else None

    async def trim(self, below: Mapping[int, int]) -> None:
        """Drop the entries whose position is less than `below` of their partition (about: whole nodes)."""
        pipeline = self._redis.pipeline(transaction=False)
        for part, position in below.items():
            pipeline.xtrim(stream_name(self._source, part), minid=id_of(position), approximate=True)
        await pipeline.execute()

    async def shorten(self, parts: Iterable[int], kept: int) -> None:
        """Keep about the last `kept` entries of each stream."""
        pipeline = self._redis.pipeline(transaction=False)
        for part in parts:
            pipeline.xtrim(stream_name(self._source, part), maxlen=kept, approximate=True)
        await pipeline.execute()

    async def forget(self, part: int) -> None:
        """Delete one stream, the copy of a history that its owner no longer has."""
        await self._redis.delete(stream_name(self._source, part))


def _is_refusal(answer: object) -> bool:
    """Say whether an XADD failed for another reason than that its entry is there already."""
    if isinstance(answer, ResponseError) and _REPEATED in str(answer):
        return False
    return isinstance(answer, RedisError)
