"""Telling a source how far its consumer has come, so that it may drop what lies behind."""

import asyncio
from collections.abc import Awaitable, Callable

from libs.events.cancellation import stop_if_cancelled
from libs.events.records import Cursors
from libs.events.signs import ConsumerSigns

ReportCursors = Callable[[str, Cursors], Awaitable[None]]
"""(consumer, cursors) → the owner's internal route."""

REPORT_SECONDS = 2.0


class CursorReporter:
    """Reports cursors that changed; a failed report is made again."""

    def __init__(self, consumer: str, report_cursors: ReportCursors, signs: ConsumerSigns) -> None:
        """Report for `consumer`."""
        self._consumer = consumer
        self._report_cursors = report_cursors
        self._signs = signs
        self._reported: Cursors | None = None

    async def report(self, cursors: Cursors) -> None:
        """Report all of `cursors` when any differs from what the owner was last told."""
        if cursors and cursors != self._reported:
            await self._report_cursors(self._consumer, cursors)
            self._reported = cursors

    async def run(self, cursors: Callable[[], Awaitable[Cursors]]) -> None:
        """Report every two seconds until cancelled; `cursors` gives the present ones."""
        while True:
            stop_if_cancelled()
            try:
                await self.report(await cursors())
            except Exception as error:  # noqa: BLE001 - the owner may be down in any way; it keeps more meanwhile
                self._signs.complain("cursors could not be reported", error)
            await asyncio.sleep(REPORT_SECONDS)
