"""Waiting for several things side by side in one thread.

A step is an iterator that yields while there is something to wait for. There is one thread on purpose: the
kernel ends a server when the thread that started it ends, and a program with threads must not fork.
"""

import time
from collections.abc import Iterator

_PAUSE_SECONDS = 0.01


def side_by_side(*steps: Iterator[None]) -> Iterator[None]:
    """Advance all steps in turn until all are through; the first error ends the waiting for all."""
    waiting = list(steps)
    while waiting := [step for step in waiting if goes_on(step)]:
        yield


def goes_on(step: Iterator[None]) -> bool:
    """Advance one step and say whether it is still waiting."""
    try:
        next(step)
    except StopIteration:
        return False
    return True


def advance(step: Iterator[None], timeout: float) -> None:
    """Advance one step until it is through; TimeoutError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while goes_on(step):
        if time.monotonic() > deadline:
            raise TimeoutError(f"it was not ready within {timeout:.0f} seconds")
        time.sleep(_PAUSE_SECONDS)
