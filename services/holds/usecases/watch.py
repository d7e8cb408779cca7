"""Watch over holds that are not in force: an executor that is down must not go unnoticed."""

from dataclasses import dataclass

from libs.kernel.clock import Clock
from services.holds.ports.register import Signs, WaitingHolds


@dataclass(frozen=True, slots=True)
class WatchHolds:
    """Shows for each executor how many holds wait for it, and for how long."""

    holds: WaitingHolds
    signs: Signs
    clock: Clock

    async def __call__(self) -> None:
        """Look once. Raises HoldsUnavailable."""
        now = self.clock.now()
        for waiting in await self.holds.waiting():
            waited = 0.0 if waiting.since is None else (now - waiting.since).total_seconds()
            self.signs.waits(waiting, max(0.0, waited))
