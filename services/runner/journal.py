"""What the runner did and when: a line for the terminal, a JSON line for the log, seconds for `--json`."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.engines.folders import open_log
from libs.kernel.clock import Clock


class Journal:
    """The runner's own log, which holds names, times and exit codes only."""

    def __init__(self, log: Path | None, clock: Clock, *, quiet: bool) -> None:
        """Append to `log`; say every step on standard error unless `quiet`."""
        self._log = log
        self._clock = clock
        self._quiet = quiet
        self._started = clock.monotonic()
        self.steps: list[dict[str, Any]] = []

    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return self._clock.monotonic() - self._started

    def timed(self, step: str, waiting: Iterator[None]) -> Iterator[None]:
        """Pass on the waiting of a step, and note when it began and how long it took."""
        began = self.seconds()
        yield from waiting
        took = self.seconds() - began
        self.steps.append({"step": step, "began": round(began, 3), "seconds": round(took, 3)})
        self.note("step", step=step, seconds=round(took, 3))
        self.say(f"  {step:<38} {took:5.1f} s")

    def say(self, line: str) -> None:
        """Show a line to the person at the terminal."""
        if not self._quiet:
            print(line, file=sys.stderr, flush=True)

    def note(self, event: str, **facts: object) -> None:
        """Append a line to the log."""
        if self._log is None:
            return
        line = {"at": self._clock.now().isoformat(), "event": event, **facts}
        descriptor = open_log(self._log)
        try:
            os.write(descriptor, json.dumps(line).encode() + b"\n")
        finally:
            os.close(descriptor)
