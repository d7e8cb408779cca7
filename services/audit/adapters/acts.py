"""The acts of a source: asked of another service, or counted in this one, by the same statements."""

from collections.abc import Awaitable, Callable
from typing import Final

from libs.contracts.internal import ActsCounted
from libs.db.errors import DatabaseUnavailable
from libs.host.clients import PeerNotFound, PeerRefused, PeerUnavailable, ServiceClient
from libs.kernel.ids import TenantId
from libs.telemetry.logs import get_logger
from services.audit.domain.reconciling import CountedActs

COUNTING_SECONDS: Final = 60.0
"""How long a source may be silent over its tables: the timeout of a client that asks it."""


class SourceActs:
    """A source of facts, as the comparison of acts and entries sees it."""

    def __init__(self, source: str, count: Callable[[], Awaitable[ActsCounted]]) -> None:
        """Ask `count` for the acts of `source`."""
        self._source = source
        self._count = count

    async def find_acts(self) -> CountedActs | None:
        """Return its acts, and its outbox's heads of the same snapshot; None while it does not answer."""
        try:
            counted = await self._count()
        except (PeerUnavailable, PeerNotFound, PeerRefused, DatabaseUnavailable) as error:
            get_logger().warning("acts cannot be had", source=self._source, reason=type(error).__name__)
            return None
        return CountedActs(
            counted.positions, {(TenantId(act.tenant), act.action): act.count for act in counted.acts}
        )


def peer_acts(source: str, client: ServiceClient) -> SourceActs:
    """Return the source that `client` reaches."""
    return SourceActs(source, lambda: client.fetch("/internal/acts", ActsCounted))
