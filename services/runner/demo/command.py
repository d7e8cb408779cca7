"""`muniment demo`: the command line's side of a demonstration."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from libs.kernel.clock import SystemClock
from services.runner.demo.compliance import Archive, archive_of
from services.runner.demo.perform import KEPT, Outcome, perform
from services.runner.demo.rest import numbers_of, rest_of
from services.runner.demo.script import Script, read_script
from services.runner.demo.steps import Report
from services.runner.demo.table import print_outcome
from services.runner.deployment import read_facts
from services.runner.errors import NotRunning, RunnerError
from services.runner.search import AS_BEFORE, SearchWish
from services.runner.temporary import running, temporary_folder

_WORDS = {
    "people": "Provisioning people",
    "sign-in": "Signing in",
    "conversations": "Making conversations",
    "sockets": "Opening sockets",
    "messages": "Delivering messages",
    "count": "Counting",
    "import": "Importing",
    "stored": "Counting rows",
    "index": "Waiting for the index",
    "hold": "Placing a hold",
    "dry run": "Trying a rule",
    "run": "Carrying it out",
    "certificate": "Waiting for a certificate",
    "index after the run": "Waiting for the index",
    "search": "Searching a matter",
    "production": "Making a production",
    "verification": "Checking it off line",
    "evidence": "Taking evidence",
    "audit": "Walking the audit logs",
}


class Wanted(msgspec.Struct, frozen=True):
    """What is to be shown: a corpus that is said live (up to a limit), and one that is imported.

    None is the project's own; what a corpus holds beyond the limit is imported where no `archive` is named.
    Production and certificates are kept below `keep`, by default in a folder of the working directory.
    """

    corpus: Path | None = None
    limit: int | None = None
    archive: Path | None = None
    keep: Path = KEPT
    search: SearchWish = AS_BEFORE


def run_demo(data: Path, wanted: Wanted, *, as_json: bool) -> int:
    """Show the platform on the deployment in `data`, or a temporary one; return the exit code.

    Standard output carries the JSON or the table alone; progress and sentences go to standard error.
    """
    script = read_script(wanted.corpus, wanted.limit)
    with temporary_folder() as folder, _deployment(data, wanted.search) as facts:
        archive = _archive(script, wanted, folder)
        outcome = _performed(script, archive, facts, wanted.keep.absolute())
    if as_json:
        sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
    else:
        print_outcome(outcome, Console())
    for sentence in outcome.wrong:
        sys.stderr.write(f"muniment: {sentence}\n")
    return 0 if outcome.complete else 1


def _archive(script: Script, wanted: Wanted, folder: Path) -> Archive | None:
    """Return what is imported, None when that is nothing. Raises RunnerError."""
    today = SystemClock().now().date()
    path = rest_of(wanted.corpus, script.messages, wanted.archive, folder, today)
    if path is None:
        return None
    return archive_of(path, numbers_of(wanted.corpus, wanted.limit), len(script.people))


@contextlib.contextmanager
def _deployment(data: Path, search: SearchWish) -> Iterator[Mapping[str, Any]]:
    """Give the facts of the deployment that runs on `data`, or of one for the moment.

    Raises RunnerError when an engine is asked for that the running one does not search by.
    """
    try:
        facts: Mapping[str, Any] = read_facts(data)
    except NotRunning:
        with temporary_folder() as folder, running(folder, search.options) as made:
            yield made
    else:
        engine = facts["searching"]["engine"]
        if search.engine is not None and search.engine.partition("=")[0] != engine:
            raise RunnerError(f"What runs on {data} searches by {engine}; `muniment up` chooses.")
        yield facts


def _performed(script: Script, archive: Archive | None, facts: Mapping[str, Any], keep: Path) -> Outcome:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        report, processors = _report_to(progress), os.cpu_count() or 1
        return runner.run(perform(script, facts, processors, report, archive=archive, keep=keep))


def _report_to(progress: Progress) -> Report:
    tasks: dict[str, Any] = {}

    def report(step: str, done: int, total: int) -> None:
        if step not in tasks:
            tasks[step] = progress.add_task(_WORDS.get(step, step), total=total)
        progress.update(tasks[step], completed=done)

    return report
