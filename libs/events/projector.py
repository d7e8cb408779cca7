"""The projector: applies a source's events in order, each with exactly one effect.

Cursor and effect are committed together, so a crash loses both or neither. An event that cannot be
applied parks its tenant: it and the tenant's later ones wait, in order, and nobody else does.
"""

import asyncio
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.contracts.streams import PARTITIONS, Lane
from libs.db.pool import CrossingDatabase
from libs.events.cancellation import stop_if_cancelled
from libs.events.effects import WORLD_AWAY, ApplyMany, EffectFailed, apply_records
from libs.events.errors import ReplayFailed
from libs.events.projection import ProjectionRows
from libs.events.records import Cursors, Passage, StreamItem, StreamRecord
from libs.events.reporter import CursorReporter, ReportCursors
from libs.events.signs import ConsumerSigns
from libs.events.stream_reader import RECORDS_A_PARTITION, FetchGap, StreamReader
from libs.kernel.clock import Clock
from libs.kernel.ids import TenantId
from libs.telemetry.metrics import Metrics

TRIES = 3
WAIT_SECONDS = 1.0
RETRY_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
PASSED_SECONDS = 1.0  # how long a cursor may wait to move over what it passes
_PASSING_SECONDS = 0.1  # the least pause after nothing came but what is passed over: nobody waits for that
_BEHIND_PARKED = "follows a parked event"


class Pace(NamedTuple):
    """How a projector gathers records into transactions, each of which costs as much as some hundred records.

    It waits `gather_seconds` for more after it took in fewer than `enough`, and not at all while there are so
    many; a transaction has at most `transaction` of them, and of more than one at most `transaction_bytes`
    (an event may tell of a thousand entries); a read has at most `partition` of each partition.
    """

    gather_seconds: float
    enough: int
    partition: int = RECORDS_A_PARTITION
    transaction: int = 500
    transaction_bytes: int = 1 << 18

    def gathers(self, moved: int) -> float:
        """Return how long to wait for more after a round that went on by `moved` positions.

        Whoever found nothing waits where he reads.
        """
        return self.gather_seconds if 0 < moved < self.enough else 0.0


PROMPT = Pace(gather_seconds=0.01, enough=500)
"""As soon as it can be: a publisher fills one partition after the other, and the first wakes who waits."""
THRIFTY = Pace(gather_seconds=0.15, enough=50, partition=250, transaction=1000)
"""For who has a part of a second, and would take a processor from others for a handful of records."""


class Projector:
    """Keeps one projection of one source; several may run, and each event still has one effect."""

    def __init__(  # noqa: PLR0913 - each is a dependency that somebody else owns
        self,
        name: str,
        source: str,
        *,
        schema: str,
        database: CrossingDatabase,
        redis: Redis,
        apply: ApplyMany,
        fetch_gap: FetchGap,
        report_cursors: ReportCursors,
        clock: Clock,
        metrics: Metrics,
        parts: Iterable[int] = range(PARTITIONS),
        lane: Lane = Lane.EVENTS,
        pace: Pace = PROMPT,
        names: Container[str] | None = None,
        tell: Callable[[], None] | None = None,
    ) -> None:
        """Apply one lane of `source` as consumer `name`, with the projection tables of `schema`.

        Where the `names` of the events are given that have an effect, all others are passed over.

        `apply(tx, records)` makes the effect by statements of `tx` alone: it may be run again when the
        transaction did not commit; `one_by_one` makes one of the effect of a single event. `tell` is
        called when effects were committed: whoever waits for them need not look all the time. `redis` must
        not decode answers. Projectors that share the `parts` of a source work side by side.
        """
        self._signs = ConsumerSigns("projector", name, source, metrics)
        self._rows = ProjectionRows(schema, name, source)
        self._database = database
        self._reader = StreamReader(redis, source, fetch_gap, clock, self._signs, lane, pace.partition)
        self._reporter = CursorReporter(name, report_cursors, self._signs)
        self._apply = apply
        self._tell = tell
        self._parts = frozenset(parts)
        self._pace = pace
        self._names = names
        self._least_pause = 0.0
        self._clock = clock
        self._cursors: Cursors = {}  # as they are committed
        self._passed: dict[int, Passage] = {}  # what lies behind them that is nothing to us
        self._settle_at = 0.0

    async def run(self) -> None:
        """Project until cancelled; outages of PostgreSQL, Redis and the owner are waited out."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._project())
            tasks.create_task(self._reporter.run(self._reported_cursors))

    async def catch_up(self) -> int:
        """Apply everything that is in the streams now, report the cursors, and return how far they moved.

        Raises what `WORLD_AWAY` names when PostgreSQL or Redis is away.
        """
        await self._load()
        taken = 0
        while newly := await self._round(wait_seconds=0):
            taken += newly
        await self._settle()
        await self._reporter.report(dict(self._cursors))
        return taken

    async def replay_parked(self, tenant: TenantId) -> int:
        """Apply the parked events of `tenant` in order and let it go on; return their number.

        Raises ReplayFailed at the first that fails again; those before it are applied, the rest waits.
        """
        replayed = 0
        while await self._replay_next(tenant):
            replayed += 1
        return replayed

    async def _project(self) -> None:
        pause = RETRY_SECONDS
        while True:
            stop_if_cancelled()
            try:
                if not self._cursors:
                    await self._load()
                moved = await self._round(WAIT_SECONDS)
                if self._clock.monotonic() >= self._settle_at:
                    await self._settle()
            except WORLD_AWAY as error:
                self._signs.waits_for("redis" if isinstance(error, RedisError) else "postgresql", error)
                self._cursors = {}
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self._signs.goes_on()
                pause = RETRY_SECONDS
                if pause_for_more := self._pace.gathers(moved):
                    await asyncio.sleep(max(pause_for_more, self._least_pause))

    async def _load(self) -> None:
        async with self._database.begin() as tx:
            await self._rows.begin_at_zero(tx)
            cursors = await self._rows.cursors(tx)
        self._cursors = {part: cursor for part, cursor in cursors.items() if part in self._parts}
        self._passed = {}

    async def _reported_cursors(self) -> Cursors:
        return dict(self._cursors)

    async def _round(self, wait_seconds: float) -> int:
        """Read once, take in what came, and return by how many positions it goes on.

        Where nothing came but what is passed over, nothing is written yet: a busy lane would have the
        readers of the other one move their cursors all the time.
        """
        read = await self._reader.read(self._ahead(), wait_seconds)
        batch = {part: self._of_note(items) for part, items in read.items()}
        passed = sum(self._pass(part, items) for part, items in batch.items() if not _has_records(items))
        items: list[StreamItem] = []
        for part in sorted(part for part in batch if _has_records(batch[part])):
            if part in self._passed:
                items.append(self._passed.pop(part))
            items += batch[part]
        self._least_pause = 0.0 if items else _PASSING_SECONDS
        return passed + await self._take_in_all(items)

    def _of_note(self, items: Sequence[StreamItem]) -> Sequence[StreamItem]:
        """Return `items` with what has no effect as passed over."""
        names = self._names
        if names is None:
            return items
        return [
            Passage(item.part, item.position, item.position)
            if isinstance(item, StreamRecord) and item.name not in names
            else item
            for item in items
        ]

    async def _settle(self) -> None:
        """Commit the cursors of the partitions in which something was passed over."""
        self._settle_at = self._clock.monotonic() + PASSED_SECONDS
        passed, self._passed = self._passed, {}
        await self._take_in_all([passed[part] for part in sorted(passed)])

    def _ahead(self) -> Cursors:
        """Return from where on to read: behind the cursors, and behind what was passed over."""
        return self._cursors | {part: passage.position for part, passage in self._passed.items()}

    def _pass(self, part: int, passages: Sequence[StreamItem]) -> int:
        """Note that these lie behind the cursor, and return by how many positions they lead on."""
        before = self._passed.get(part)
        begun = self._cursors[part] if before is None else before.position
        first = passages[0].first if before is None else before.first
        self._passed[part] = Passage(part, first, passages[-1].position)
        return passages[-1].position - begun

    async def _take_in_all(self, items: Sequence[StreamItem]) -> int:
        return sum([await self._take_in(share) for share in shares_of(items, self._pace)])

    async def _take_in(self, items: Sequence[StreamItem]) -> int:
        """Take in `items` by one transaction, or one by one when an effect among them fails."""
        try:
            return await self._commit(items)
        except EffectFailed:
            return sum([await self._take_in_alone(item) for item in items])

    async def _take_in_alone(self, item: StreamItem) -> int:
        """Take in one record, or park it after three tries; a passage has no effect that could fail."""
        reason = ""
        for attempt in range(TRIES):
            await asyncio.sleep(attempt * RETRY_SECONDS)
            try:
                return await self._commit([item])
            except EffectFailed as failure:
                reason = failure.reason
        taken = await self._commit([item], condemned=reason)
        if isinstance(item, StreamRecord):
            self._signs.put_aside(item, reason)
        return taken

    async def _commit(self, items: Sequence[StreamItem], condemned: str | None = None) -> int:
        """Commit the effects of those `items` whose turn it is, with their cursors; return how far they go.

        Events of parked tenants, and all when `condemned` says why, are parked instead.
        """
        async with self._database.begin() as tx:
            before = await self._rows.locked_cursors(tx, {item.part for item in items})
            due, reached = in_turn(items, before)
            parked = await self._rows.parked_among(tx, {one.tenant for one in due}) if due else set()
            waiting = [one for one in due if condemned is not None or one.tenant in parked]
            for record in waiting:
                await self._rows.park(tx, record, condemned or _BEHIND_PARKED)
            if free := [one for one in due if condemned is None and one.tenant not in parked]:
                await apply_records(self._apply, tx, free)
            await self._rows.advance(tx, reached)
        if due and self._tell is not None:
            self._tell()
        self._cursors.update(reached)
        self._signs.took_in(len(due))
        self._signs.waits_behind(0 if condemned is not None else len(waiting))
        return sum(reached.values()) - sum(before.values())

    async def _replay_next(self, tenant: TenantId) -> bool:
        """Apply the first parked event of `tenant`; return False when there is none.

        All cursors are locked meanwhile: no later event of the tenant can pass the parked ones.
        """
        async with self._database.begin() as tx:
            await self._rows.locked_cursors(tx, range(PARTITIONS))
            records = await self._rows.parked_of(tx, tenant, limit=1)
            for record in records:
                try:
                    await apply_records(self._apply, tx, [record])
                except EffectFailed as failure:
                    raise ReplayFailed(tenant, record.part, record.position, failure.reason) from failure
                await self._rows.unpark(tx, record)
        return bool(records)


def _has_records(items: Sequence[StreamItem]) -> bool:
    return any(isinstance(item, StreamRecord) for item in items)


def shares_of(items: Sequence[StreamItem], pace: Pace) -> Iterator[Sequence[StreamItem]]:
    """Divide `items` into what one transaction takes in: not too many, and not too long together."""
    start = size = 0
    for place, item in enumerate(items):
        length = len(item.body) if isinstance(item, StreamRecord) else 0
        if place > start and (place - start >= pace.transaction or size + length > pace.transaction_bytes):
            yield items[start:place]
            start, size = place, 0
        size += length
    if start < len(items):
        yield items[start:]


def in_turn(items: Sequence[StreamItem], cursors: Cursors) -> tuple[list[StreamRecord], Cursors]:
    """Return the records among `items` that continue `cursors` without a gap, and how far all of them lead.

    What lies at or below a cursor has had its effect; what lies behind a gap has to come again.
    """
    reached = dict(cursors)
    due: list[StreamRecord] = []
    for item in items:
        if item.first <= reached[item.part] + 1 <= item.position:
            reached[item.part] = item.position
            if isinstance(item, StreamRecord):
                due.append(item)
    return due, reached
