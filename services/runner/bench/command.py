"""`muniment bench`: the command line's side of the measurements."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from rich.console import Console

from services.runner.bench.audit import audit_figures
from services.runner.bench.corpora import MESSAGES, Load
from services.runner.bench.ediscovery import ediscovery_figures
from services.runner.bench.figures import Figure, in_words
from services.runner.bench.messaging import Report, send_figures, with_deployment
from services.runner.bench.retention import retention_figures
from services.runner.errors import RunnerError

Measure = Callable[[Report], list[Figure]]


def run_bench(area: str, corpus: Path | None = None, messages: int | None = None, *, as_json: bool) -> int:
    """Measure an area on a deployment of its own; return 0 when every goal holds, 1 otherwise.

    Standard output carries the figures alone; progress goes to standard error. Raises RunnerError for
    an area that there is not, and for a corpus where none is measured on.
    """
    measure = measured_by(area, corpus, messages)
    with Console(stderr=True).status("measuring") as status:
        figures = measure(status.update)
    if as_json:
        sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    else:
        sys.stdout.writelines(f"{in_words(each)}\n" for each in figures)
    return 0 if all(each.holds is not False for each in figures) else 1


def measured_by(area: str, corpus: Path | None, messages: int | None) -> Measure:
    """Return what measures an area. Raises RunnerError as `run_bench` does."""
    if area in ON_CORPUS:
        if corpus is not None and messages is not None:
            raise RunnerError("a corpus that is given has the number of messages that it has")
        return partial(ON_CORPUS[area], Load(corpus, messages or MESSAGES))
    if area not in AREAS:
        there_is = ", ".join((*AREAS, *ON_CORPUS))
        raise RunnerError(f"there is nothing to measure called {area}; there is: {there_is}")
    if corpus is not None or messages is not None:
        raise RunnerError(f"{area} is measured on no corpus")
    return AREAS[area]


def _messaging(report: Report) -> list[Figure]:
    return with_deployment(report, partial(_measured, report=report))


def _measured(facts: Mapping[str, Any], report: Report) -> list[Figure]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(send_figures(facts, report))


AREAS: Mapping[str, Measure] = {"messaging": _messaging, "audit": audit_figures}
ON_CORPUS: Mapping[str, Callable[[Load, Report], list[Figure]]] = {
    "retention": retention_figures,
    "ediscovery": ediscovery_figures,
}
