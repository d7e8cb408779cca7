"""Compare what every source did with what the logs tell: by details, and by walking the leaves."""

import asyncio
from collections.abc import Container, Mapping
from typing import Final

from libs.kernel.clock import Clock
from libs.kernel.ids import TenantId
from services.audit.domain.errors import LogDamaged
from services.audit.domain.reconciling import (
    Count,
    CountedActs,
    Disagreement,
    Positions,
    Reconciliation,
    Standing,
    Tally,
    are_within,
    disagreements_of,
)
from services.audit.ports.books import ActsOfSource, Alarm, Books

WAIT_SECONDS: Final = 5.0
"""How long facts that are under way may take to their checkpoint before a comparison goes on without them."""
_PAUSE_SECONDS: Final = 0.1
_LEAVES_AT_ONCE: Final = 512
"""Reading them is work of some milliseconds, and requests wait meanwhile."""

AWAY: Final = "away"
BEHIND: Final = "behind"
UNPUBLISHED: Final = "unpublished"
DAMAGED: Final = "damaged"


class Reconcile:
    """Counts acts and entries, and rings where they disagree; one comparison at a time."""

    def __init__(
        self,
        sources: Mapping[str, ActsOfSource],
        books: Books,
        alarm: Alarm,
        clock: Clock,
        *,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        """Compare `sources`, every one whose facts become entries, with `books`."""
        self._sources = sources
        self._books = books
        self._alarm = alarm
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._alone = asyncio.Lock()
        self._tallies: dict[TenantId, Tally] = {}
        self._reached: dict[str, Positions] = {}
        self._found: dict[str, list[Disagreement]] = {}

    async def __call__(self, *, whole: bool = True) -> Reconciliation:
        """Return what was counted; the alarm has heard of it.

        Each leaf is read once in the life of this object unless `whole` walks all of them again. A log that
        cannot be walked, or whose entries no checkpoint covers in time, is left out; the others are
        compared. Raises DatabaseUnavailable.
        """
        async with self._alone:
            found = await self._reconciled(whole=whole)
            self._alarm.counted(found)
            return found

    async def go_on(self) -> None:
        """Compare again, walking the leaves that are new."""
        await self(whole=False)

    async def _reconciled(self, *, whole: bool) -> Reconciliation:
        acts, away = await self._asked()
        behind, stuck = await self._settled(acts)
        acts = {source: counted for source, counted in acts.items() if source not in behind}
        positions = {source: counted.positions for source, counted in acts.items()}
        leaves, damaged = await self._walked(positions, whole=whole)
        left_out = dict.fromkeys(stuck, UNPUBLISHED) | dict.fromkeys(damaged, DAMAGED)
        counts = {
            source: await self._compared(source, counted, leaves.get(source, {}), left_out)
            for source, counted in acts.items()
        }
        return Reconciliation(counts, away | behind, self._disagreements(leaves), left_out)

    async def _asked(self) -> tuple[dict[str, CountedActs], dict[str, str]]:
        """Return the acts of the sources that answer, and those that do not."""
        answers = await asyncio.gather(*(source.find_acts() for source in self._sources.values()))
        acts = dict(zip(self._sources, answers, strict=True))
        return (
            {source: counted for source, counted in acts.items() if counted is not None},
            {source: AWAY for source, counted in acts.items() if counted is None},
        )

    async def _settled(self, acts: Mapping[str, CountedActs]) -> tuple[dict[str, str], set[TenantId]]:
        """Wait until checkpoints cover the facts of all `acts`.

        Return the sources whose facts were not sequenced in time, and the logs of which checkpoints do not
        cover what was.
        """
        deadline = self._clock.monotonic() + self._wait_seconds
        sequenced: dict[str, Mapping[TenantId, Standing]] = {}
        while True:
            progress = await self._books.progress(self._sources)
            for source, counted in acts.items():
                if are_within(counted.positions, progress.cursors.get(source, {})):
                    sequenced.setdefault(source, progress.logs)
            behind = dict.fromkeys(acts.keys() - sequenced.keys(), BEHIND)
            waiting = {
                tenant for earlier in sequenced.values() for tenant in _uncovered(progress.logs, earlier)
            }
            if not (behind or waiting) or self._clock.monotonic() >= deadline:
                return behind, waiting
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _walked(
        self, positions: Mapping[str, Positions], *, whole: bool
    ) -> tuple[dict[str, dict[TenantId, int]], set[TenantId]]:
        """Return by source and tenant the leaves within `positions`, and the logs that are damaged.

        Each log is read to its checkpoint, or to where it is damaged: the alarm has heard of that.
        """
        logs = (await self._books.progress(self._sources)).logs
        if whole or self._went_back(positions, logs):
            self._tallies, self._reached = {}, {}
        self._reached |= positions
        damaged: set[TenantId] = set()
        for tenant, standing in logs.items():
            try:
                await self._walk(self._tallies.setdefault(tenant, Tally(tenant)), standing.published)
            except LogDamaged as damage:
                self._alarm.damaged(damage)
                damaged.add(tenant)
        cursors = (await self._books.progress(self._sources)).cursors
        leaves: dict[str, dict[TenantId, int]] = {}
        for tenant, tally in self._tallies.items():
            for source, count in tally.counted(cursors).items():
                leaves.setdefault(source, {})[tenant] = count
        return leaves, damaged

    async def _walk(self, tally: Tally, size: int) -> None:
        tally.reach(self._reached)
        while tally.size < size:
            count = min(_LEAVES_AT_ONCE, size - tally.size)
            for leaf in await self._books.leaves(tally.tenant, tally.size, count):
                tally.take(leaf, self._reached)

    async def _compared(
        self,
        source: str,
        counted: CountedActs,
        leaves: Mapping[TenantId, int],
        left_out: Container[TenantId],
    ) -> Count:
        """Compare a source with all logs but those `left_out`, of which the last disagreements stay."""
        details = _without(left_out, await self._books.details_counted(source, counted.positions))
        acts = _without(left_out, counted.acts)
        walked = {tenant: count for tenant, count in leaves.items() if tenant not in left_out}
        kept = [one for one in self._found.get(source, ()) if one.tenant in left_out]
        self._found[source] = kept + disagreements_of(source, acts, details, walked)
        return Count(sum(acts.values()), sum(details.values()), sum(walked.values()))

    def _disagreements(self, leaves: Mapping[str, Mapping[TenantId, int]]) -> tuple[Disagreement, ...]:
        """Return what was found last of each source, and the leaves of sources that there are not."""
        unknown = sorted(leaves.keys() - self._sources.keys())
        found = [one for source in self._sources for one in self._found.get(source, ())]
        return (
            *found,
            *(one for source in unknown for one in disagreements_of(source, {}, {}, leaves[source])),
        )

    def _went_back(self, positions: Mapping[str, Positions], logs: Mapping[TenantId, Standing]) -> bool:
        """Return whether something is smaller than it was: a database came back from a backup."""
        return any(
            not are_within(self._reached.get(source, {}), one) for source, one in positions.items()
        ) or any(
            tenant not in logs or logs[tenant].published < tally.size
            for tenant, tally in self._tallies.items()
        )


def _uncovered(logs: Mapping[TenantId, Standing], earlier: Mapping[TenantId, Standing]) -> set[TenantId]:
    """Return the logs of which checkpoints do not cover what was sequenced when they were as in `earlier`."""
    return {
        tenant
        for tenant, standing in earlier.items()
        if tenant not in logs or logs[tenant].published < standing.sequenced
    }


def _without(
    left_out: Container[TenantId], counts: Mapping[tuple[TenantId, str], int]
) -> dict[tuple[TenantId, str], int]:
    return {key: count for key, count in counts.items() if key[0] not in left_out}
