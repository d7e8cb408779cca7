"""Messages that were put aside are tried again: a key that the vault refused may be had another day."""

from collections.abc import Awaitable, Callable, Sequence

from libs.events.effects import WORLD_AWAY
from libs.events.errors import ReplayFailed
from libs.events.projector import Projector
from libs.kernel.ids import TenantId
from libs.telemetry.logs import get_logger


class RetryWaiting:
    """Takes a tenant up again where it stopped, in order; one that fails again waits on."""

    def __init__(self, projector: Projector, waiting: Callable[[], Awaitable[Sequence[TenantId]]]) -> None:
        """Replay by `projector` what `waiting` tells of."""
        self._projector = projector
        self._waiting = waiting

    async def __call__(self) -> None:
        """Try every tenant once; ends early when a peer or the database is away."""
        log = get_logger()
        try:
            for tenant in await self._waiting():
                try:
                    replayed = await self._projector.replay_parked(tenant)
                except ReplayFailed as failed:
                    log.warning("messages still cannot be indexed", tenant=tenant, reason=failed.reason)
                else:
                    log.info("messages that waited are indexed", tenant=tenant, events=replayed)
        except WORLD_AWAY as error:
            log.info("messages that wait are tried later", error=type(error).__name__)
