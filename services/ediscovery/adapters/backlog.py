"""What was committed and is not indexed: the owner's outbox against the cursors of our projector."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from libs.contracts.events import decode
from libs.contracts.internal import Positions
from libs.db.pool import CrossingDatabase
from libs.events.projection import ProjectionRows
from libs.events.records import Cursors
from libs.host.clients import PeerNotFound, PeerRefused, PeerUnavailable, ServiceClient
from libs.host.owners import gaps_of
from services.ediscovery.domain.errors import CorrespondenceUnavailable

_AT_A_TIME: Final = 8


def cursors_of(
    database: CrossingDatabase, schema: str, consumer: str, source: str
) -> Callable[[], Awaitable[Cursors]]:
    """Return how to read the cursors of a projector."""
    rows = ProjectionRows(schema, consumer, source)

    async def cursors() -> Cursors:
        async with database.begin() as tx:
            return await rows.cursors(tx)

    return cursors


class StreamBacklog:
    """Asks the owner of a stream how far its outbox goes."""

    def __init__(self, owner: ServiceClient, cursors: Callable[[], Awaitable[Cursors]]) -> None:
        """Compare the positions of `owner` with `cursors`."""
        self._owner = owner
        self._cursors = cursors
        self._page = gaps_of(owner)

    async def oldest(self) -> datetime | None:
        """Return when the oldest event behind a cursor was committed, None when there is none."""
        cursors = await self._cursors()
        try:
            heads = (await self._owner.fetch("/internal/positions", Positions)).positions
            behind = [part for part, head in heads.items() if head > cursors.get(part, 0)]
            times: list[datetime] = []
            for start in range(0, len(behind), _AT_A_TIME):
                some = behind[start : start + _AT_A_TIME]
                pages = await asyncio.gather(*(self._page(part, cursors.get(part, 0), 1) for part in some))
                times += [decode(record.body)[0].time for page in pages for record in page]
        except PeerUnavailable as error:
            raise CorrespondenceUnavailable(error.retry_after_seconds) from error
        except (PeerNotFound, PeerRefused) as error:
            raise CorrespondenceUnavailable from error
        return min(times, default=None)
