"""The copy of an outbox in Redis streams: disposable, idempotent to write, numbered like its source."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis.typing import EncodableT

from libs.contracts.streams import Lane, lane_of, stream_name
from libs.events.errors import StreamIncomplete
from libs.events.records import Cursors, Passage, StreamItem, StreamRecord
from libs.kernel.ids import TenantId

# One call for a partition's share: a command for each record would cost the publisher three times as much.
# A lane is told of what it passes over when its own next record comes, or at the end: so all lanes end alike.
# Answers how many records stand in their lanes, counted up to the first that Redis refuses.
_ADD = """
local passed = {}
local function put(...)
  local answer = redis.pcall('XADD', ...)
  if type(answer) == 'table' and answer.err and not string.find(answer.err, 'equal or smaller', 1, true) then
    return answer.err
  end
end
local function pass(lane)
  local run = passed[lane]
  if run then
    passed[lane] = nil
    return put(KEYS[lane], run[2] .. '-0', 'p', run[1])
  end
end
for at = 1, #ARGV, 5 do
  local lane, position = tonumber(ARGV[at]), ARGV[at + 1]
  local refused = pass(lane) or put(
    KEYS[lane], position .. '-0', 't', ARGV[at + 2], 'n', ARGV[at + 3], 'b', ARGV[at + 4])
  if refused then
    return {(at - 1) / 5, refused}
  end
  for other = 1, #KEYS do
    if other ~= lane then
      local run = passed[other]
      if run then run[2] = position else passed[other] = {position, position} end
    end
  end
end
for lane = 1, #KEYS do
  local refused = pass(lane)
  if refused then
    return {0, refused}
  end
end
return {#ARGV / 5}
"""
_LANES = tuple(Lane)
_NUMBERS = {lane: number for number, lane in enumerate(_LANES, 1)}

Entry = tuple[bytes, Mapping[bytes, bytes]]


def id_of(position: int) -> str:
    """Return the id of the entry at `position` of its partition."""
    return f"{position}-0"


def position_of(identifier: bytes) -> int:
    """Return the position that an entry's id carries."""
    return int(identifier.partition(b"-")[0])


def item_of(part: int, entry: Entry) -> StreamItem:
    """Return what an entry read from a lane of `part` holds."""
    identifier, fields = entry
    if b"p" in fields:
        return Passage(part, int(fields[b"p"]), position_of(identifier))
    return StreamRecord(
        part, position_of(identifier), _tenant_of(fields[b"t"]), _name_of(fields[b"n"]), fields[b"b"]
    )


@lru_cache(maxsize=4096)
def _tenant_of(said: bytes) -> TenantId:
    """Return the tenant of an entry: one object for many records."""
    return TenantId(UUID(bytes=said))


@lru_cache(maxsize=256)
def _name_of(said: bytes) -> str:
    """Return the name of an entry's event: one object for many records."""
    return said.decode()


class StreamCopy:
    """The streams of one source, in all lanes, written in pipelines by its publisher."""

    def __init__(self, redis: Redis, source: str) -> None:
        """Write the streams of `source` by `redis`, a client that does not decode."""
        self._redis = redis
        self._source = source

    async def ends(self, parts: Iterable[int]) -> dict[int, list[int | None]]:
        """Return the position of the last entry of each partition's lanes, None for a lane without one."""
        asked = tuple(parts)
        pipeline = self._redis.pipeline(transaction=False)
        for part in asked:
            for stream in self._lanes(part):
                pipeline.xrevrange(stream, count=1)
        answers = await pipeline.execute()
        ends = [position_of(answer[0][0]) if answer else None for answer in answers]
        lanes = len(_LANES)
        return {part: ends[at * lanes : (at + 1) * lanes] for at, part in enumerate(asked)}

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
            pipeline.eval(_ADD, len(_LANES), *self._lanes(part), *_arguments_of(share))
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
            for stream in self._lanes(part):
                pipeline.xtrim(stream, minid=id_of(position), approximate=True)
        await pipeline.execute()

    async def shorten(self, parts: Iterable[int], kept: int) -> None:
        """Keep about the last `kept` entries of each stream."""
        pipeline = self._redis.pipeline(transaction=False)
        for part in parts:
            for stream in self._lanes(part):
                pipeline.xtrim(stream, maxlen=kept, approximate=True)
        await pipeline.execute()

    async def forget(self, part: int) -> None:
        """Delete one partition's streams, the copy of a history that its owner no longer has."""
        await self._redis.delete(*self._lanes(part))

    def _lanes(self, part: int) -> list[str]:
        return [stream_name(self._source, part, lane) for lane in _LANES]


def _arguments_of(records: Sequence[StreamRecord]) -> list[EncodableT]:
    """Return what `_ADD` is given of records: lane, position and fields of each."""
    return [
        value
        for record in records
        for value in (
            _NUMBERS[lane_of(record.name)],
            record.position,
            record.tenant.bytes,
            record.name,
            record.body,
        )
    ]
