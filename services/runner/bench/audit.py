"""The figures of the audit log: how fast and how soon facts get into trees, how fast that is checked."""

import asyncio
import statistics
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final
from uuid import UUID

import httpx

from libs.contracts.events import decode
from libs.events.records import OutboxRecord
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from services.runner.bench.facts import Books, books_of, fresh_tenants, records_of
from services.runner.bench.figures import Figure, figure_of
from services.runner.bench.gateways import another_gateway
from services.runner.bench.messaging import Spent
from services.runner.bench.plain_rows import PlainRows, by_arrays, plain_rows, row_by_row
from services.runner.bench.sends import Round, Senders, prepared_senders
from services.runner.bench.walk import walk_figures
from services.runner.errors import RunnerError
from services.runner.temporary import running, temporary_folder

ROUNDS: Final = 3
FACTS_A_ROUND: Final = 50_000
LEAST_INTEGRATED: Final = 5_000.0
LEAST_RATIO: Final = 0.5
STEADY_FACTS: Final = 1_000
"""A second."""
STEADY_SECONDS: Final = 10.0
MOST_LATENCY_MS: Final = 1_000.0
SEND_ROUNDS: Final = 5
SEND_SECONDS: Final = 3.0
WARM_UP_SECONDS: Final = 2.0
LEAST_SENDS: Final = 0.85
_COMMITS_A_SECOND: Final = 50
_POLL_SECONDS: Final = 0.01
_PATIENCE_SECONDS: Final = 120.0

Report = Callable[[str], None]
Seen = Mapping[UUID, Sequence[tuple[float, int]]]
"""Log → when it was seen to have grown, and how many of its entries a checkpoint covered then."""


def audit_figures(report: Report) -> list[Figure]:
    """Return all figures: checking off line, and the rest on one temporary deployment."""
    figures = walk_figures(report)
    with temporary_folder() as data, running(data) as facts:
        report("preparing senders")
        figures += asyncio.run(send_figures(facts, report))
        with books_of(facts) as books, plain_rows(facts["databases"]["audit"]) as plain:
            _catch_up(books)
            figures += latency_figures(books, report)
            figures += backlog_figures(facts, books, plain, report)
    return figures


def backlog_figures(facts: Mapping[str, Any], books: Books, plain: PlainRows, report: Report) -> list[Figure]:
    """Return how fast a backlog gets from an outbox under checkpoints, against inserting its rows alone.

    They are inserted in two ways: as the driver does it by itself, and by the statements of the log's own
    store, which say what all that is around these costs.
    """
    spent = Spent(facts["processes"])
    rounds: list[tuple[float, float]] = []
    packed: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        report(f"backlog {number + 1} of {ROUNDS}")
        clock, ids = _sources()
        tenants = fresh_tenants(ids)
        records = records_of(tenants, FACTS_A_ROUND, ids, clock)
        with spent.counting():
            integrated = integrated_per_second(books, tenants, records)
        packed.append((integrated, plain.inserts_per_second(tenants, by_arrays)))
        rounds.append((integrated, plain.inserts_per_second(tenants, row_by_row)))
    name = "entries integrated of a backlog"
    speed, by_packed = median_round(packed)
    same, by_plain = median_round(rounds)
    return [
        figure_of(name, speed, "1/s", least=LEAST_INTEGRATED),
        figure_of(f"{name}, by packed inserts", speed, "1/s", baseline=by_packed, least_ratio=LEAST_RATIO),
        figure_of(f"{name}, by the driver's inserts", same, "1/s", baseline=by_plain),
        *[
            figure_of(f"processor time an entry: {kind}", seconds / (ROUNDS * FACTS_A_ROUND) * 1e6, "µs")
            for kind, seconds in sorted(spent.seconds.items(), key=lambda item: -item[1])
            if kind in {"audit", "postgres", "messaging-relay", "valkey"}
        ],
    ]


def integrated_per_second(
    books: Books, tenants: Sequence[TenantId], records: Sequence[OutboxRecord]
) -> float:
    """Commit all records at once, and return how many a second get under checkpoints from then on."""
    books.append(records)
    began = time.monotonic()
    while sum(books.integrated(tenants).values()) < len(records):
        if time.monotonic() - began > _PATIENCE_SECONDS:
            raise RunnerError("the audit log does not take in its backlog")
        time.sleep(_POLL_SECONDS)
    return len(records) / (time.monotonic() - began)


def median_round(rounds: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return value and baseline of the round whose ratio is the median: its two share the machine's mood."""
    ordered = sorted(rounds, key=lambda pair: pair[0] / pair[1] if pair[1] else 0.0)
    return ordered[len(ordered) // 2]


def latency_figures(books: Books, report: Report) -> list[Figure]:
    """Return how long after its commit a fact is covered by a checkpoint, under a steady load."""
    report(f"{STEADY_FACTS} facts a second")
    clock, ids = _sources()
    tenants = fresh_tenants(ids)
    count = int(STEADY_FACTS * STEADY_SECONDS)
    records = records_of(tenants, count, ids, clock)
    committed, seen = steadily(books, tenants, records)
    latencies = latencies_of(committed, books.places(tenants), seen)
    percentiles = statistics.quantiles(latencies, n=100)
    lasted = max(committed.values()) - min(committed.values())
    return [
        figure_of("facts committed under the steady load", count / lasted, "1/s"),
        figure_of("commit of a fact to its checkpoint, p50", percentiles[49] * 1e3, "ms"),
        figure_of(
            "commit of a fact to its checkpoint, p99", percentiles[98] * 1e3, "ms", most=MOST_LATENCY_MS
        ),
    ]


def steadily(
    books: Books, tenants: Sequence[TenantId], records: Sequence[OutboxRecord]
) -> tuple[dict[UUID, float], dict[UUID, list[tuple[float, int]]]]:
    """Commit records at the steady rate, some at a time, until all are covered.

    Returns when each fact's commit began, and what was seen of the logs meanwhile.
    """
    share = STEADY_FACTS // _COMMITS_A_SECOND
    committed: dict[UUID, float] = {}
    seen: dict[UUID, list[tuple[float, int]]] = {tenant: [] for tenant in tenants}
    began = time.monotonic()
    sent = covered = 0
    while covered < len(records):
        now = time.monotonic()
        if now - began > _PATIENCE_SECONDS:
            raise RunnerError("the audit log does not keep up with a steady load")
        if sent < len(records) and now >= began + sent / STEADY_FACTS:
            some = records[sent : sent + share]
            committed.update((decode(record.body)[0].id, now) for record in some)
            books.append(some)
            sent += len(some)
        standing = books.integrated(tenants)
        covered = sum(standing.values())
        _note(seen, standing, time.monotonic())
        time.sleep(_POLL_SECONDS / 2)
    return committed, seen


def _note(seen: Mapping[UUID, list[tuple[float, int]]], standing: Mapping[UUID, int], now: float) -> None:
    for tenant, size in standing.items():
        before = seen[tenant]
        if not before or before[-1][1] < size:
            before.append((now, size))


def latencies_of(
    committed: Mapping[UUID, float], places: Mapping[UUID, tuple[UUID, int]], seen: Seen
) -> list[float]:
    """Return for each fact the seconds from its commit to when its log was first seen to cover it.

    Raises RunnerError for a fact that no checkpoint covers.
    """
    latencies = []
    for fact, began in committed.items():
        tenant, index = places[fact] if fact in places else (UUID(int=0), 0)
        growth = seen.get(tenant, ())
        at = bisect_right(growth, index, key=lambda each: each[1])
        if at == len(growth):
            raise RunnerError(f"no checkpoint covers the fact {fact}")
        latencies.append(growth[at][0] - began)
    return latencies


async def send_figures(facts: Mapping[str, Any], report: Report) -> list[Figure]:
    """Return acked sends a second that are told to the audit log, against such that are not.

    Each kind has a gateway of its own beside the platform's; they are measured in turns, and the log has
    caught up before each turn.
    """
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=30.0, trust_env=False))
        books = stack.enter_context(books_of(facts))
        told, untold = [
            await _senders_at(stack, facts, http, name, audit_facts=tells)
            for name, tells in (("gw-told", True), ("gw-untold", False))
        ]
        for senders in (told, untold):
            await senders.round(WARM_UP_SECONDS)
        rounds: list[tuple[Round, Round]] = []
        for number in range(SEND_ROUNDS):
            report(f"sends, round {number + 1} of {SEND_ROUNDS}")
            measured = [await _after_rest(books, each) for each in (told, untold)]
            rounds.append((measured[0], measured[1]))
        await told.close()
        await untold.close()
    speed, baseline = median_round([(on.per_second, off.per_second) for on, off in rounds])
    return [
        figure_of(
            "acked sends told to the audit log, by untold ones",
            speed,
            "1/s",
            baseline=baseline,
            least_ratio=LEAST_SENDS,
        )
    ]


async def _senders_at(
    stack: AsyncExitStack, facts: Mapping[str, Any], http: httpx.AsyncClient, name: str, *, audit_facts: bool
) -> Senders:
    """Start a gateway of the kind and put senders on line at it."""
    gateway = stack.enter_context(another_gateway(facts, name, audit_facts=audit_facts))
    return await prepared_senders(facts, http, [gateway])


async def _after_rest(books: Books, senders: Senders) -> Round:
    await asyncio.to_thread(_catch_up, books)
    await asyncio.sleep(1.0)
    return await senders.round(SEND_SECONDS)


def _catch_up(books: Books) -> None:
    """Wait until everything that was told is in its tree. Raises RunnerError when that never comes."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while books.behind():
        if time.monotonic() > until:
            raise RunnerError("the audit log does not catch up")
        time.sleep(_POLL_SECONDS)


def _sources() -> tuple[SystemClock, SystemIds]:
    clock = SystemClock()
    return clock, SystemIds(clock, SystemRandomness())
