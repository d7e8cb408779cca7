"""A cancellation that a library swallowed is noticed at the next turn of an endless loop."""

import asyncio


def stop_if_cancelled() -> None:
    """Raise CancelledError when this task was asked to stop and nobody obeyed.

    `asyncio.wait_for`, by which the database driver waits, drops a cancellation that comes in the moment
    of its answer (Python before 3.12); a loop without end would then never stop.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
