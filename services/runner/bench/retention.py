"""The figures of retention: how fast an archive comes in, is counted, is held, and is destroyed."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from services.runner.bench.audit import median_round
from services.runner.bench.corpora import Load, corpus_of
from services.runner.bench.figures import Figure, figure_of, percentile_of
from services.runner.bench.messaging import Report, Spent
from services.runner.bench.office import Office, office_of, soon, until_indexed
from services.runner.bench.plain_deletes import ROWS_A_BATCH, Deleted, PlainPayloads, plain_payloads
from services.runner.demo.holding import HOLDS
from services.runner.demo.importing import Imported, bring_the_rest
from services.runner.demo.officials import Answer
from services.runner.demo.retaining import ORDERS, carried_out, tried
from services.runner.errors import RunnerError
from services.runner.temporary import running, temporary_folder

LEAST_IMPORTED: Final = 3_000.0
DRY_RUNS: Final = 5
MOST_DRY_RUN_SECONDS: Final = 2.0
HOLD_ROUNDS: Final = 20
RUNS: Final = 3
LEAST_RATIO: Final = 0.2
_RULES: Final = "/retention/v1/rules"
_GENERATION: Final = "/holds/v1/generation"
_ISSUED: Final = "issued"


class Rule(NamedTuple):
    """A rule by its newest version."""

    rule: str
    version: int


class Destroyed(NamedTuple):
    """What one run destroyed, payloads a second, and what plain deletes of the same rows came to."""

    run: Deleted
    at_once: Deleted
    in_batches: Deleted


def retention_figures(load: Load, report: Report) -> list[Figure]:
    """Return all figures, on one temporary deployment."""
    with corpus_of(load) as corpus, temporary_folder() as data, running(data) as facts:
        return asyncio.run(archive_figures(facts, corpus, report))


async def archive_figures(facts: Mapping[str, Any], corpus: Path, report: Report) -> list[Figure]:
    """Return the figures of one corpus, from its import to the end of its last payload."""
    async with office_of(facts) as office:
        report("importing the corpus")
        spent = Spent(facts["processes"])
        with spent.counting():
            came = await bring_the_rest(office.officials, corpus, {})
        figures = import_figures(came, spent)
        report("waiting for the index, which would share the machine")
        await until_indexed(office, came.imported)
        figures += await hold_figures(office, report)
        figures += await dry_run_figures(office, came, report)
        figures += await destroy_figures(office, report)
    return figures


def import_figures(came: Imported, spent: Spent) -> list[Figure]:
    """Return how fast the corpus was brought, by the code of `muniment import`, and what took the time."""
    return [
        figure_of(
            "messages imported, as `muniment import` does",
            came.imported / came.seconds,
            "1/s",
            least=LEAST_IMPORTED,
        ),
        *_processor_time("an imported message", spent, came.imported),
    ]


async def hold_figures(office: Office, report: Report) -> list[Figure]:
    """Return how long a hold takes from its placing until all executors have confirmed it.

    The clock starts when counsel asks, and stops when counsel is shown that it is in force. Each hold is
    released before the next, and all executors have let go of it, so that none of them stands when it is
    counted what is due.
    """
    seconds = []
    for number in range(HOLD_ROUNDS):
        report(f"hold {number + 1} of {HOLD_ROUNDS}")
        seconds.append(await _placed_in_force(office))
    return [
        figure_of("hold placed to in force, median", percentile_of(seconds, 50) * 1e3, "ms"),
        figure_of("hold placed to in force, p95", percentile_of(seconds, 95) * 1e3, "ms"),
    ]


async def _placed_in_force(office: Office) -> float:
    counsel, officer = office.officials.counsel, office.officials.officer
    terms = {"silent": True, "everything": True, "reason": "To measure how soon it is in force"}
    began = time.monotonic()
    place = f"{HOLDS}/{(await counsel.post(HOLDS, terms))['hold']}"
    await soon(counsel, place, lambda hold: hold["state"] == "in-force", "no hold came into force")
    lasted = time.monotonic() - began
    request = await counsel.post(f"{place}/release", {"reason": "It was measured"})
    await officer.approve("holds", request)
    await soon(counsel, place, lambda hold: hold["state"] == "released", "no hold was released")
    await soon(counsel, _GENERATION, _is_confirmed, "no release was taken in")
    return lasted


def _is_confirmed(standing: Answer) -> bool:
    """Tell whether all executors know of every change: a release is shown before they let go of anything."""
    return all(each["generation"] == standing["generation"] for each in standing["executors"])


async def dry_run_figures(office: Office, came: Imported, report: Report) -> list[Figure]:
    """Return how long a dry run over everything takes, from its order to the answer that is shown.

    Raises RunnerError when it counts less than what was imported.
    """
    seconds = []
    for number in range(DRY_RUNS):
        report(f"dry run {number + 1} of {DRY_RUNS}")
        began = time.monotonic()
        shown = await _dry_run(office, what_if={"rules": [_deletion_after(1)]})
        seconds.append(time.monotonic() - began)
        found = tried(shown)
        if found.ripe < came.imported:
            raise RunnerError(
                f"{came.imported} messages were imported, and only {found.ripe} are due, with"
                f" {found.preserved} on hold"
            )
    return [
        figure_of("dry run of the whole corpus, median", percentile_of(seconds, 50), "s"),
        figure_of(
            f"dry run of the whole corpus, slowest of {DRY_RUNS}",
            max(seconds),
            "s",
            most=MOST_DRY_RUN_SECONDS,
        ),
    ]


async def destroy_figures(office: Office, report: Report) -> list[Figure]:
    """Return how fast runs destroy, against plain deletes of the same rows from copies of their table.

    Each run is measured from its approval to the end that is shown: it counts anew, plans, decides each
    item, keeps why, tells others. Runs and plain deletes take turns in who is first.
    """
    report("copying the payloads")
    spent = Spent(office.facts["processes"])
    rounds: list[Destroyed] = []
    with plain_payloads(office.facts["databases"]["messaging"], office.tenant.tenant) as plain:
        cuts = [plain.sent_at((number + 1) / RUNS) for number in range(RUNS)]
        rule: Rule | None = None
        for number, cut in enumerate(cuts):
            report(f"run {number + 1} of {RUNS}")
            rule = await _due_until(office, cut, rule)
            rounds.append(await _destroyed(office, plain, rule_days(cut), spent, plain_first=number % 2 == 0))
    speed, at_once = median_round([(each.run.per_second, each.at_once.per_second) for each in rounds])
    same, in_batches = median_round([(each.run.per_second, each.in_batches.per_second) for each in rounds])
    return [
        figure_of(
            "payloads destroyed by a run, by one plain DELETE",
            speed,
            "1/s",
            baseline=at_once,
            least_ratio=LEAST_RATIO,
        ),
        figure_of(
            f"payloads destroyed by a run, by DELETEs of {ROWS_A_BATCH:,}", same, "1/s", baseline=in_batches
        ),
        *_processor_time("a destroyed payload", spent, sum(each.run.rows for each in rounds)),
    ]


async def _destroyed(
    office: Office, plain: PlainPayloads, days: int, spent: Spent, *, plain_first: bool
) -> Destroyed:
    """Carry out what is due, and delete the same rows of the copies. Raises RunnerError if they differ."""
    dry_run = await _dry_run(office)
    until = datetime.fromisoformat(dry_run["as_of"]) - timedelta(days=days)

    async def deleted() -> tuple[Deleted, Deleted]:
        return (
            await asyncio.to_thread(plain.delete_at_once, until),
            await asyncio.to_thread(plain.delete_in_batches, until),
        )

    before = await deleted() if plain_first else None
    with spent.counting():
        run = await _carried_out(office, dry_run)
    at_once, in_batches = before or await deleted()
    if not run.rows == at_once.rows == in_batches.rows:
        raise RunnerError(
            f"a run destroyed {run.rows} payloads, plain deletes {at_once.rows} and {in_batches.rows}"
        )
    return Destroyed(run, at_once, in_batches)


async def _carried_out(office: Office, dry_run: Answer) -> Deleted:
    officer, counsel = office.officials.officer, office.officials.counsel
    request = await officer.post(f"{ORDERS}/{dry_run['order']}/run", {"reason": "To measure it"})
    began = time.monotonic()
    await counsel.approve("retention", request)
    listed = (await officer.get(ORDERS))["orders"]
    (run,) = [each["order"] for each in listed if each["dry_run"] == dry_run["order"]]
    shown = await soon(officer, f"{ORDERS}/{run}", _is_over, "no run came to its end")
    lasted = time.monotonic() - began
    destroyed = carried_out(shown).destroyed
    return Deleted(destroyed, destroyed / lasted)


async def _dry_run(office: Office, **wanted: Any) -> Answer:
    officer = office.officials.officer
    order = await officer.post(ORDERS, wanted)
    shown = await soon(officer, f"{ORDERS}/{order['order']}", _is_over, "no dry run was answered")
    tried(shown)  # which raises RunnerError when it was refused
    return shown


async def _due_until(office: Office, cut: datetime, rule: Rule | None) -> Rule:
    """Have everything due that was sent until `cut`, by one rule whose newest version says so."""
    wanted = _deletion_after(rule_days(cut))
    officer = office.officials.officer
    if rule is None:
        made = await officer.post(_RULES, wanted)
    else:
        made = await officer.post(f"{_RULES}/{rule.rule}/versions", {**wanted, "version": rule.version})
    return Rule(made["rule"], made["version"])


def rule_days(cut: datetime) -> int:
    """Return the longest period in whole days after which what was sent until `cut` is due, one at least."""
    return max(1, (datetime.now(UTC) - cut).days)


def _deletion_after(days: int) -> Answer:
    return {"kind": "deletion", "period": {"days": days}, "conversation_types": ["import"], "grace_days": 0}


def _is_over(order: Answer) -> bool:
    return bool(order["state"] != _ISSUED)


def _processor_time(what: str, spent: Spent, count: int) -> list[Figure]:
    return [
        figure_of(f"processor time {what}: {kind}", seconds / count * 1e6, "µs")
        for kind, seconds in sorted(spent.seconds.items(), key=lambda item: -item[1])
        if seconds / count * 1e6 >= 1.0
    ]
