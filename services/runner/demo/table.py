"""What people are shown of a demonstration: one line a step, its numbers side by side, and the verdict."""

from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from services.runner.demo.perform import Outcome
from services.runner.demo.verdict import Counts


class Row(NamedTuple):
    """A step: what was done, what was counted and what by somebody else, and which time is its own."""

    step: str
    counted: str
    checked: str
    seconds: str


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print a table, what was left out, and whether everything agrees."""
    table = Table(title=f"Demonstration {outcome.tenant}", title_justify="left")
    for name in ("step", "counted", "from another place"):
        table.add_column(name, overflow="fold")
    table.add_column("seconds", justify="right")
    for row in rows_of(outcome.counts):
        spent = outcome.seconds.get(row.seconds)
        table.add_row(row.step, row.counted, row.checked, "" if spent is None else f"{spent:.1f}")
    console.print(table)
    for sentence in outcome.left_out:
        console.print(f"Left out: {sentence}.")
    for name, path in (("production", outcome.production), ("certificates", outcome.certificates)):
        if path is not None:
            console.print(f"The {name}: {path}", soft_wrap=True)
    if outcome.verified:
        refused = ", and tampered copies are refused" if outcome.tampered_refused else ""
        console.print(f"They hold off line (muniment verify){refused}.")
    end = "Everything agrees." if outcome.complete else "IT DOES NOT AGREE."
    console.print(f"{outcome.seconds['all']:.1f} s. {end}")


def rows_of(counts: Counts) -> Iterator[Row]:
    """Yield the lines of the table; a step that was not taken has none."""
    yield from _live(counts)
    if counts.imported is not None:
        yield Row("import", f"{counts.to_import} lines", f"{counts.imported} imported", "import")
    yield Row("storage", f"{counts.stored} stored", f"{counts.sealed} sealed", "stored")
    if counts.indexed is not None:
        yield Row("index", f"{counts.indexed} indexed", f"{counts.stored} stored", "index")
    if counts.confirmed is not None:
        confirmed = f"{counts.confirmed} of {counts.executors} executors confirmed"
        yield Row("hold", f"{counts.custodians} custodians", confirmed, "hold")
    if counts.found is not None:
        yield Row("search", f"{counts.found} found", f"{counts.matching} texts have the word", "search")
    if counts.due is not None:
        yield from _retention(counts)
    if counts.produced is not None:
        produced = f"{counts.produced} produced + {counts.excluded} excluded"
        yield Row("production", f"{counts.in_scope} entries in scope", produced, "production")
    refused = f"{counts.refused} of {counts.tampered} tampered copies refused"
    yield Row("evidence", f"{counts.proved} of {counts.evidence} proofs hold", refused, "evidence")
    yield Row("audit log", f"{counts.acts} acts", f"{counts.audited} audited", "audit")


def _live(counts: Counts) -> Iterator[Row]:
    said = f"{counts.messages} messages of {counts.people} people in {counts.conversations} conversations"
    yield Row("live", said, f"{counts.sent} sent, {counts.acked} acknowledged", "messages")
    back = f"{counts.came_back} of {counts.off_line} people came back"
    delivered = f"{counts.delivered} of {counts.expected} deliveries"
    yield Row("sockets", f"{delivered} at {counts.connections} sockets", back, "sockets")


def _retention(counts: Counts) -> Iterator[Row]:
    tried = f"{counts.ripe} to destroy, {counts.preserved} held, {counts.in_grace} in grace"
    yield Row("dry run", f"{counts.due} bodies due", tried, "dry run")
    yield Row("run", f"{counts.disposed} bodies gone", f"{counts.ripe} approved", "run")
    yield Row("certificate", f"{counts.certified} certified", f"{counts.disposed} gone", "certificate")
    still = f"{counts.left} still have a body"
    yield Row("index after it", f"{counts.indexed_left} indexed", still, "index after the run")
