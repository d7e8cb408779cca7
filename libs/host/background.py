"""Tasks beside the requests: started by name, ended together, and loud when they fail."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from libs.kernel.errors import DomainError
from libs.telemetry.logs import get_logger

CANCEL_SECONDS = 0.5


class Background:
    """The tasks of one process."""

    def __init__(self) -> None:
        """Begin without any."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = get_logger()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the rest; a failure is logged and hurts nobody else."""
        task = asyncio.create_task(self._watched(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def every(self, seconds: Callable[[], float], work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` again and again, `seconds()` after it ended."""

        async def forever() -> None:
            while True:
                await asyncio.sleep(seconds())
                await self._watched(work())

        self.spawn(forever())

    async def close(self) -> None:
        """Cancel every task and wait for their ends.

        Again and again, because a driver may take a cancellation for a lost connection and go on
        (redis-py does, when it is cancelled within a command).
        """
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=CANCEL_SECONDS)

    async def _watched(self, work: Awaitable[None]) -> None:
        try:
            await work
        except DomainError as error:
            self._log.warning("background work put off", reason=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - told here, since nobody awaits it
            self._log.error("background work failed", exc_info=error)
