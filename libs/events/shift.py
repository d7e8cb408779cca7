"""What a publisher does with one connection, whose end is the end of its locks."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import psycopg

from libs.contracts.streams import PARTITIONS
from libs.events.outbox_reader import OutboxReader
from libs.events.records import Cursors, StreamRecord
from libs.events.signs import PublisherSigns
from libs.events.stream import StreamCopy
from libs.kernel.clock import Clock

CHECK_SECONDS = 1.0  # how soon a flushed stream is noticed, and a dead publisher replaced
TRIM_SECONDS = 5.0
DAYS_SECONDS = 3600.0
DAYS_RETRY_SECONDS = 60.0
DAYS_AHEAD = 4
UNREAD_KEPT = 10_000  # entries of a stream that nobody reads


class Shift:
    """A publisher's partitions, and how far the streams of these partitions go."""

    def __init__(self, reader: OutboxReader, stream: StreamCopy, clock: Clock, signs: PublisherSigns) -> None:
        """Own nothing yet; `adopt` takes partitions."""
        self._reader = reader
        self._stream = stream
        self._clock = clock
        self._signs = signs
        self._mine: set[int] = set()
        self._published: Cursors = {}  # of those of ours whose stream's end is known
        self._trimmed: Cursors = {}
        self._due: dict[str, float] = {}

    async def step(self) -> int:
        """Do what is due, copy one round, and return how many events it had."""
        if self._is_due("check", CHECK_SECONDS):
            await self.adopt()
            await self.check()
        if 0 in self._mine and self._is_due("days", DAYS_SECONDS):
            await self.keep_days()
        copied = await self.copy()
        if self._is_due("trim", TRIM_SECONDS):
            await self.trim()
        return copied

    def doubt(self) -> None:
        """Forget how far the streams go: Redis may come back with less than it had."""
        self._published.clear()
        self._due.pop("check", None)

    async def release(self) -> None:
        """Give the partitions to whoever asks next."""
        try:
            await self._reader.unlock()
        except psycopg.Error:
            self._mine.clear()  # the connection is gone, and its locks with it

    async def adopt(self) -> None:
        """Take the partitions that nobody publishes, and find out where their streams end."""
        if len(self._mine) < PARTITIONS:
            self._mine.update(await self._reader.lock(set(range(PARTITIONS)) - self._mine))
        await self._find_ends(self._mine - self._published.keys())

    async def check(self) -> None:
        """Look again at the streams in which a consumer still waits for something.

        A flush, a failover or a lost file shows as a stream that ends before what was published.
        """
        cursors = await self._reader.cursors()
        self._signs.lags(await self._reader.heads(), self._published, cursors)
        await self._find_ends(_waited_for(self._published, cursors))

    async def copy(self) -> int:
        """Copy one round of records; return their number.

        Raises StreamIncomplete when Redis refused some, after noting what went.
        """
        records = await self._reader.records_after(self._published)
        if not records:
            return 0
        self._notice_holes(records)
        reached, refusal = await self._stream.add(records)
        self._published.update(reached)
        if refusal is not None:
            raise refusal
        self._signs.copied(len(records))
        return len(records)

    async def trim(self) -> None:
        """Drop from the streams what every consumer has taken in."""
        cursors = await self._reader.cursors()
        if not cursors:
            await self._stream.shorten(self._published, UNREAD_KEPT)
            return
        slowest = {part: _slowest_of(cursors, part) or 0 for part in self._published}
        passed = {part: end for part, end in slowest.items() if end > self._trimmed.get(part, 0)}
        if passed:
            await self._stream.trim({part: position + 1 for part, position in passed.items()})
            self._trimmed.update(passed)

    async def keep_days(self) -> None:
        """Make the next days' partitions and drop the ones that are behind every consumer."""
        today = self._clock.now().date()
        try:
            await self._reader.make_days(today, DAYS_AHEAD)
            await self._reader.drop_days(today - timedelta(days=1))
        except psycopg.errors.LockNotAvailable:  # whoever reads or writes goes first; there is a day's time
            self._due["days"] = self._clock.monotonic() + DAYS_RETRY_SECONDS

    async def _find_ends(self, parts: Iterable[int]) -> None:
        """Ask the streams of `parts` where they end; start anew where one is empty or of another past.

        The streams are asked before the heads: none ever holds more than was committed when it was read.
        """
        asked = tuple(parts)
        if not asked:
            return
        ends = await self._stream.ends(asked)
        heads, cursors = await self._reader.heads(), await self._reader.cursors()
        for part, of_lanes in ends.items():
            end, head = max(known for known in (0, *of_lanes) if known is not None), heads[part]
            if end > head:
                self._signs.complain("a stream is ahead of its outbox", part, end=end, head=head)
                await self._stream.forget(part)
            self._published[part] = _start_of(of_lanes, head, _slowest_of(cursors, part))

    def _notice_holes(self, records: Sequence[StreamRecord]) -> None:
        """Complain of positions that an outbox should have and has not; consumers will see the gap."""
        last = dict(self._published)
        for record in records:
            if record.position != last[record.part] + 1:
                self._signs.complain(
                    "an outbox lacks events", record.part, after=last[record.part], found=record.position
                )
            last[record.part] = record.position

    def _is_due(self, duty: str, seconds: float) -> bool:
        now = self._clock.monotonic()
        if now < self._due.get(duty, now):
            return False
        self._due[duty] = now + seconds
        return True


def _start_of(ends: Sequence[int | None], head: int, slowest: int | None) -> int:
    """Return the position after which to publish, given the lanes' ends, the head and the slowest cursor.

    Lanes are believed as far as the head goes. Where one is missing, the slowest consumer says what is
    still wanted; without a consumer, the last entries are enough.
    """
    believed = [end for end in ends if end is not None and end <= head]
    if len(believed) == len(ends):
        return min(believed)
    return max(0, head - UNREAD_KEPT) if slowest is None else min(slowest, head)


def _slowest_of(cursors: Mapping[str, Cursors], part: int) -> int | None:
    """Return the lowest cursor of any consumer in `part`, None when there is no consumer."""
    return min((positions[part] for positions in cursors.values()), default=None)


def _waited_for(published: Cursors, cursors: Mapping[str, Cursors]) -> list[int]:
    """Return the partitions in which some consumer has not taken in everything that was published."""
    return [
        part
        for part, end in published.items()
        if any(positions[part] < end for positions in cursors.values())
    ]
