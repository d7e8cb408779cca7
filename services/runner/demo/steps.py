"""The steps of a demonstration: how long each took, and how far it is."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

Report = Callable[[str, int, int], None]
"""Takes the step, what is done of it and what there is to do."""


class Steps:
    """Times the steps of a demonstration and tells of their progress."""

    def __init__(self, report: Report) -> None:
        """Tell `report`."""
        self.seconds: dict[str, float] = {}
        self._report = report

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Time a step; gives what takes the number done of `total`."""
        started = time.monotonic()
        self._report(name, 0, total)
        yield partial(self._told, name, total)
        self.seconds[name] = round(time.monotonic() - started, 3)
        self._report(name, total, total)

    def _told(self, name: str, total: int, done: int) -> None:
        self._report(name, done, total)
