"""Tasks beside the requests: kept running, ended together, and loud when they fail."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Self

from libs.kernel.errors import DomainError
from libs.telemetry.logs import get_logger

_CANCEL_SECONDS: Final = 0.5
_RESTART_SECONDS: Final = 1.0

Run = Callable[[], Coroutine[Any, Any, None]]


class Background:
    """The tasks of one process. Used as an asynchronous context, it ends them all at the end."""

    def __init__(self) -> None:
        """Begin without any."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._steady: list[asyncio.Task[None]] = []
        self._log = get_logger()

    async def __aenter__(self) -> Self:
        """Return the tasks, none yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every task."""
        await self.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` once, beside the rest; a failure is logged and hurts nobody else."""
        self._begin(self._watched(work))

    def keep(self, run: Run) -> None:
        """Run `run`, which should never end by itself; when it does, it is logged and run again."""

        async def again() -> None:
            while True:
                await self._watched(run())
                await asyncio.sleep(_RESTART_SECONDS)

        self._steady.append(self._begin(again()))

    def every(
        self,
        seconds: Callable[[], float],
        work: Callable[[], Awaitable[None]],
        bell: asyncio.Event | None = None,
    ) -> None:
        """Run `work` again and again, `seconds()` after it ended, or as soon as the `bell` is set.

        A bell only spares the wait: what it did not ring for, or rang for while `work` ran, is found too.
        """
        rung = bell or asyncio.Event()

        async def forever() -> None:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds()):
                        await rung.wait()
                rung.clear()
                await self._watched(work())

        self._begin(forever())

    async def runs(self) -> bool:
        """Tell whether everything that is to be kept running runs: a check of readiness."""
        return bool(self._steady) and not any(task.done() for task in self._steady)

    async def close(self) -> None:
        """Cancel every task and wait for their ends.

        Again and again: a driver may take a cancellation for a lost connection and go on (redis-py,
        within a command), and `asyncio.wait_for` of Python 3.11 loses one that comes with its result.
        """
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=_CANCEL_SECONDS)
            await asyncio.sleep(0)  # for the callbacks that forget the ended ones

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watched(self, work: Awaitable[None]) -> None:
        try:
            await work
        except DomainError as error:
            self._log.warning("background work put off", reason=type(error).__name__, said=str(error))
        except Exception as error:  # noqa: BLE001 - told here, since nobody awaits it
            self._log.error("background work failed", exc_info=error)
