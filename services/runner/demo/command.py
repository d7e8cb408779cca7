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

from services.runner.demo.perform import Outcome, Report, perform
from services.runner.demo.script import Script, read_script
from services.runner.deployment import read_facts
from services.runner.errors import NotRunning
from services.runner.temporary import running, temporary_folder

_WORDS = {
    "people": "Provisioning people",
    "sign-in": "Signing in",
    "conversations": "Making conversations",
    "sockets": "Opening sockets",
    "messages": "Delivering messages",
    "count": "Counting",
    "evidence": "Taking evidence",
    "audit": "Walking the audit logs",
}


def run_demo(*, data: Path, corpus: Path | None, limit: int | None, as_json: bool) -> int:
    """Send a corpus live through the deployment in `data`, or a temporary one; return the exit code.

    Standard output carries the JSON alone; progress and sentences go to standard error.
    """
    script = read_script(corpus, limit)
    with _deployment(data) as facts:
        outcome = _performed(script, facts)
    if as_json:
        sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
    else:
        sys.stdout.write(_in_words(outcome) + "\n")
    for sentence in outcome.wrong:
        sys.stderr.write(f"muniment: {sentence}\n")
    return 0 if outcome.complete else 1


@contextlib.contextmanager
def _deployment(data: Path) -> Iterator[Mapping[str, Any]]:
    """Give the facts of the deployment that runs on `data`, or of one for the moment."""
    try:
        yield read_facts(data)
    except NotRunning:
        with temporary_folder() as folder, running(folder) as facts:
            yield facts


def _performed(script: Script, facts: Mapping[str, Any]) -> Outcome:
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
        return runner.run(perform(script, facts, os.cpu_count() or 1, _report_to(progress)))


def _report_to(progress: Progress) -> Report:
    tasks: dict[str, Any] = {}

    def report(step: str, done: int, total: int) -> None:
        if step not in tasks:
            tasks[step] = progress.add_task(_WORDS.get(step, step), total=total)
        progress.update(tasks[step], completed=done)

    return report


def _in_words(outcome: Outcome) -> str:
    counts = outcome.counts
    end = "Everything agrees." if outcome.complete else "IT DOES NOT AGREE."
    return (
        f"{counts.messages} messages of {counts.people} people in {counts.conversations} conversations: "
        f"{counts.sent} sent, {counts.acked} acknowledged, {counts.stored} stored and sealed; "
        f"{counts.delivered} of {counts.expected} deliveries at {counts.connections} sockets of "
        f"{outcome.gateways} gateways, {counts.came_back} people off line meanwhile; "
        f"{counts.acts} acts of all services, {counts.audited} of them in the audit log; "
        f"{counts.proved} of {counts.evidence} proofs hold, "
        f"{counts.refused} of {counts.tampered} tampered copies were refused; "
        f"{outcome.seconds['all']:.1f} s. {end}"
    )
