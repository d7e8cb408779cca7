"""The copy of an outbox in Redis streams: disposable, idempotent to write, numbered like its source."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis.typing import EncodableT

from libs.contracts.streams import stream_name
from libs.events.errors import StreamIncomplete
from libs.events.records import Cursors, StreamRecord
from libs.kernel.ids import TenantId

# One call for a partition's share: a command for each record would cost the publisher three times as much.
# Answers how many records stand in the stream, counted up to the first that Redis refuses.
_ADD = """
for at = 1, #ARGV, 4 do
  local answer = redis.pcall(
    'XADD', KEYS[1], ARGV[at], 't', ARGV[at + 1], 'n', ARGV[at + 2], 'b', ARGV[at + 3])
  if type(answer) == 'table' and answer.err and not string.find(answer.err, 'equal or smaller', 1, true) then
    return {(at - 1) / 4, answer.err}
  end
end
return {#ARGV / 4}
"""

Entry = tuple[bytes, Mapping[bytes, bytes]]


def id_of(position: int) -> str:
    """Return the id of the entry at `position` of its partition."""
    return f"{position}-0"


def position_of(identifier: bytes) -> int:
    """Return the position that an entry's id carries."""
    return int(identifier.partition(b"-")[0])


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
        shares: dict[int, list[StreamRecord]] = {}
        for record in records:
            shares.setdefault(record.part, []).append(record)
        pipeline = self._redis.pipeline(transaction=False)
        for part, share in shares.items():
            pipeline.eval(_ADD, 1, stream_name(self._source, part), *_arguments_of(share))
        answers = await pipeline.execute(raise_on_error=False)
        reached: Cursors = {}
        refused = 0
        for (part, share), answer in zip(shares.items(), answers, strict=True):
            added = 0 if isinstance(answer, RedisError) else answer[0]
            refused += added < len(share)
            if added:
                reached[part] = share[added - 1].position
        return reached, StreamIncomplete(self._source, refused) if refused else None

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


def _arguments_of(records: Sequence[StreamRecord]) -> list[EncodableT]:
    """Return what `_ADD` is given of records: the id and the fields of each."""
    return [
        value
        for record in records
        for value in (id_of(record.position), record.tenant.bytes, record.name, record.body)
    ]
