"""How far the index is behind the log."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from libs.kernel.actors import Actor
from libs.kernel.clock import Clock
from services.ediscovery.domain.access import READ_LAG
from services.ediscovery.ports.correspondence import Backlog, LagSigns
from services.ediscovery.usecases.access import Access


class Lag(NamedTuple):
    """For how long the oldest message that cannot be found yet has been committed, at a time."""

    seconds: float
    at: datetime


@dataclass
class MeasureLag:
    """Measures now and then, shows it, and remembers it for who asks."""

    backlog: Backlog
    signs: LagSigns
    clock: Clock
    access: Access
    _measured: Lag | None = field(default=None, init=False)
    _behind_since: datetime | None = field(default=None, init=False)

    async def __call__(self) -> None:
        """Measure. Raises CorrespondenceUnavailable, after which the lag still grows."""
        try:
            self._behind_since = await self.backlog.oldest()
        finally:
            lag = self._now()
            self.signs.lags(lag.seconds)
        self._measured = lag

    async def read(self, actor: Actor) -> Lag:
        """Return the lag as it is now. Raises NotFound."""
        self.access.access(actor, READ_LAG)
        if self._measured is None or self._behind_since is not None:
            await self()
        return self._measured or self._now()

    def _now(self) -> Lag:
        now = self.clock.now()
        since = self._behind_since
        return Lag(0.0 if since is None else max(0.0, (now - since).total_seconds()), now)
