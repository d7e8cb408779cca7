"""Compare what every source did with what the logs tell: by details, and by walking the leaves."""

import asyncio
from collections.abc import Mapping
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

        Each leaf is read once in the life of this object unless `whole` walks all of them again. Raises
        LogDamaged for a log that cannot be walked, DatabaseUnavailable.
        """
        async with self._alone:
            try:
                found = await self._reconciled(whole=whole)
            except LogDamaged as damage:
                self._alarm.damaged(damage)
                raise
            self._alarm.counted(found)
            return found

    async def go_on(self) -> None:
        """Compare again, walking the leaves that are new."""
        await self(whole=False)

    async def _reconciled(self, *, whole: bool) -> Reconciliation:
        acts, away = await self._asked()
        unsettled = away | await self._settled(acts)
        acts = {source: counted for source, counted in acts.items() if source not in unsettled}
        leaves = await self._walked({source: one.positions for source, one in acts.items()}, whole=whole)
        counts = {
            source: await self._compared(source, counted, leaves.get(source, {}))
            for source, counted in acts.items()
        }
        return Reconciliation(counts, unsettled, self._disagreements(leaves))

    async def _asked(self) -> tuple[dict[str, CountedActs], dict[str, str]]:
        """Return the acts of the sources that answer, and those that do not."""
        answers = await asyncio.gather(*(source.find_acts() for source in self._sources.values()))
        acts = dict(zip(self._sources, answers, strict=True))
        return (
            {source: counted for source, counted in acts.items() if counted is not None},
            {source: AWAY for source, counted in acts.items() if counted is None},
        )

    async def _settled(self, acts: Mapping[str, CountedActs]) -> dict[str, str]:
        """Wait until checkpoints cover the facts of all `acts`; return the sources of which they do not."""
        deadline = self._clock.monotonic() + self._wait_seconds
        sequenced: dict[str, Mapping[TenantId, Standing]] = {}
        while True:
            progress = await self._books.progress(self._sources)
            for source, counted in acts.items():
                if are_within(counted.positions, progress.cursors.get(source, {})):
                    sequenced.setdefault(source, progress.logs)
            published = [source for source, logs in sequenced.items() if _covers(progress.logs, logs)]
            if len(published) == len(acts) or self._clock.monotonic() >= deadline:
                left = acts.keys() - published
                return {source: UNPUBLISHED if source in sequenced else BEHIND for source in left}
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _walked(
        self, positions: Mapping[str, Positions], *, whole: bool
    ) -> dict[str, dict[TenantId, int]]:
        """Return by source and tenant the leaves within `positions`, each log read to its checkpoint."""
        logs = (await self._books.progress(self._sources)).logs
        if whole or self._went_back(positions, logs):
            self._tallies, self._reached = {}, {}
        self._reached |= positions
        for tenant, standing in logs.items():
            await self._walk(self._tallies.setdefault(tenant, Tally(tenant)), standing.published)
        cursors = (await self._books.progress(self._sources)).cursors
        leaves: dict[str, dict[TenantId, int]] = {}
        for tenant, tally in self._tallies.items():
            for source, count in tally.counted(cursors).items():
                leaves.setdefault(source, {})[tenant] = count
        return leaves

    async def _walk(self, tally: Tally, size: int) -> None:
        tally.reach(self._reached)
        while tally.size < size:
            count = min(_LEAVES_AT_ONCE, size - tally.size)
            for leaf in await self._books.leaves(tally.tenant, tally.size, count):
                tally.take(leaf, self._reached)

    async def _compared(self, source: str, counted: CountedActs, leaves: Mapping[TenantId, int]) -> Count:
        details = await self._books.details_counted(source, counted.positions)
        self._found[source] = disagreements_of(source, counted.acts, details, leaves)
        return Count(sum(counted.acts.values()), sum(details.values()), sum(leaves.values()))

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


def _covers(logs: Mapping[TenantId, Standing], earlier: Mapping[TenantId, Standing]) -> bool:
    """Return whether checkpoints cover what was sequenced when the logs were as in `earlier`."""
    return all(
        tenant in logs and logs[tenant].published >= standing.sequenced
        for tenant, standing in earlier.items()
    )
