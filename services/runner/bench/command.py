"""`muniment bench`: the command line's side of the measurements."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import uvloop
from rich.console import Console

from services.runner.bench.audit import audit_figures
from services.runner.bench.figures import Figure, in_words
from services.runner.bench.messaging import Report, send_figures, with_deployment
from services.runner.errors import RunnerError


def run_bench(area: str, *, as_json: bool) -> int:
    """Measure an area on a deployment of its own; return 0 when every goal holds, 1 otherwise.

    Standard output carries the figures alone; progress goes to standard error. Raises RunnerError for
    an area that there is not.
    """
    if area not in AREAS:
        raise RunnerError(f"there is nothing to measure called {area}; there is: {', '.join(AREAS)}")
    with Console(stderr=True).status("measuring") as status:
        figures = AREAS[area](status.update)
    if as_json:
        sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    else:
        sys.stdout.writelines(f"{in_words(each)}\n" for each in figures)
    return 0 if all(each.holds is not False for each in figures) else 1


def _messaging(report: Report) -> list[Figure]:
    return with_deployment(report, partial(_measured, report=report))


def _measured(facts: Mapping[str, Any], report: Report) -> list[Figure]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(send_figures(facts, report))


AREAS: Mapping[str, Callable[[Report], list[Figure]]] = {"messaging": _messaging, "audit": audit_figures}
