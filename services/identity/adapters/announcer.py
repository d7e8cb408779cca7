"""Tells every service what was revoked: at once when something is, and every half second besides."""

import asyncio
from collections import deque
from contextlib import suppress
from datetime import timedelta
from typing import Final

from libs.authn.redis_announcements import PubSubClient, announce
from libs.authn.revocations import (
    HEARTBEAT_SECONDS,
    MEMORY_SECONDS,
    Announcement,
    Revocation,
    RevocationView,
)
from libs.db.errors import DatabaseUnavailable
from libs.kernel.clock import Clock
from libs.telemetry.logs import get_logger
from services.identity.domain.revocations import RevocationPage
from services.identity.ports.revocations import RevocationLog

_REPEATS: Final = 4
"""Each announcement repeats the revocations of so many before it, so that a lost one costs nothing."""
_MOST_REPEATED: Final = 500
_PUBLISH_SECONDS: Final = 0.4


def announcement_of(page: RevocationPage) -> Announcement:
    """Return a page of revocations as services hear it."""
    return Announcement(
        position=page.position,
        since=page.since,
        revocations=[
            Revocation(each.position, each.tenant, each.principal, each.session) for each in page.revocations
        ],
        complete=page.complete,
    )


class RevocationAnnouncer:
    """Reads what was committed, keeps this process's own view of it, and publishes it.

    It says nothing while it cannot read: silence makes the other services ask, and then refuse.
    """

    def __init__(self, log: RevocationLog, view: RevocationView, redis: PubSubClient, clock: Clock) -> None:
        """Read `log`, feed `view` and publish by `redis`."""
        self._log = log
        self._view = view
        self._redis = redis
        self._clock = clock
        self._turn = asyncio.Lock()
        self._woken = asyncio.Event()
        self._recent: deque[Revocation] = deque()
        self._positions: deque[int] = deque(maxlen=_REPEATS)
        self._logger = get_logger()

    async def announce(self) -> None:
        """Take in what was just committed, so that this process refuses it now, and wake the publisher."""
        with suppress(DatabaseUnavailable):
            await self._read()
        self._woken.set()

    async def run(self) -> None:
        """Announce until cancelled; outages of PostgreSQL and Redis are waited out in silence."""
        silent = False
        while True:
            try:
                await self.announce_once()
            except Exception as error:  # noqa: BLE001 - the heartbeat goes on, whatever happened to one beat
                if not silent:
                    self._logger.warning("revocations are not announced", reason=type(error).__name__)
                silent = True
            else:
                silent = False
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._woken.wait()
            self._woken.clear()

    async def announce_once(self) -> None:
        """Read and publish once; raises whatever stands in the way."""
        await self._read()
        announcement = self._announcement()
        async with asyncio.timeout(_PUBLISH_SECONDS):
            await announce(self._redis, announcement)

    async def _read(self) -> None:
        """Read up to the head, one reader at a time, starting after whoever called has committed."""
        async with self._turn:
            complete = False
            while not complete:
                asked_at = self._clock.monotonic()
                after = self._view.ask()
                answer = announcement_of(await self._page_after(after))
                learned = self._view.take_answer(answer, after=after, asked_at=asked_at)
                self._recent.extend(learned.revocations)
                complete = answer.complete and self._view.position is not None

    async def _page_after(self, after: int | None) -> RevocationPage:
        if after is None:
            return await self._log.read_since(self._clock.now() - timedelta(seconds=MEMORY_SECONDS))
        return await self._log.read_after(after)

    def _announcement(self) -> Announcement:
        """Return the position, and what the last few announcements said."""
        position = self._view.position or 0
        since = min(self._positions[0] if self._positions else position, position)
        self._positions.append(position)
        while self._recent and (self._recent[0].position <= since or len(self._recent) > _MOST_REPEATED):
            since = max(since, self._recent.popleft().position)
        return Announcement(position, since, list(self._recent))
