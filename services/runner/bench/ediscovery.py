"""The figures of eDiscovery: how soon a message can be found, and how fast what was found is shown."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

import httpx

from services.runner.bench.corpora import Load, corpus_of
from services.runner.bench.figures import Figure, figure_of, percentile_of
from services.runner.bench.messaging import Report
from services.runner.bench.office import Office, office_of, until_indexed
from services.runner.bench.processes import PeakMemory
from services.runner.bench.productions import production_figures
from services.runner.bench.queries import queries_of, said_in
from services.runner.bench.sends import Round, Senders, senders_in
from services.runner.demo.importing import bring_the_rest
from services.runner.errors import RunnerError
from services.runner.matters import MATTERS
from services.runner.temporary import running, temporary_folder

SENDS_A_SECOND: Final = 500.0
LIVE_SECONDS: Final = 30.0
PROBES_A_SECOND: Final = 2.0
LEAST_SENDS: Final = 475.0
"""Acked a second: a delay under a smaller load would not be the one that is promised."""
MOST_DELAY_SECONDS: Final = 2.0
MOST_QUERY_MS: Final = 200.0
HITS_A_PAGE: Final = 50
_INDEXER: Final = "ediscovery"
_POLL_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 120.0
_MIB: Final = 1024.0**2


class Asked(NamedTuple):
    """A query that was answered: its kind, and the seconds that it took."""

    kind: str
    seconds: float


def ediscovery_figures(load: Load, report: Report) -> list[Figure]:
    """Return all figures, on one temporary deployment."""
    with corpus_of(load) as corpus, temporary_folder() as data, running(data) as facts:
        return asyncio.run(search_figures(facts, corpus, report))


async def search_figures(facts: Mapping[str, Any], corpus: Path, report: Report) -> list[Figure]:
    """Return the figures of one corpus that is imported, searched, and added to while it is searched."""
    async with office_of(facts) as office:
        imported, figures = await index_figures(office, corpus, report)
        matter = await _matter_of_everything(office)
        figures += await query_figures(office, matter, corpus, report)
        figures += await production_figures(office, matter, imported, report)
        figures += await delay_figures(office, matter, report)
    return figures


async def index_figures(office: Office, corpus: Path, report: Report) -> tuple[int, list[Figure]]:
    """Return how many messages were imported, and how fast and in how much memory they were indexed.

    Raises RunnerError when the index does not come to hold what was imported.
    """
    report("importing and indexing the corpus")
    with PeakMemory(office.facts["processes"][_INDEXER]) as memory:
        began = time.monotonic()
        came = await bring_the_rest(office.officials, corpus, {})
        imported = time.monotonic()
        await until_indexed(office, came.imported)
        indexed = time.monotonic()
    speed = came.imported / (indexed - began)
    return came.imported, [
        figure_of("messages indexed, from the beginning of their import", speed, "1/s"),
        figure_of("from the end of the import to the last message found", indexed - imported, "s"),
        figure_of("memory of eDiscovery while it indexes, at most", memory.most / _MIB, "MiB"),
    ]


async def query_figures(office: Office, matter: str, corpus: Path, report: Report) -> list[Figure]:
    """Return how long counsel waits for a page of hits, excerpts included, over queries of all kinds.

    One query after the other, none twice, the first ones included, of a matter that was just opened.
    """
    report("reading what can be asked for")
    said = await asyncio.to_thread(said_in, corpus)
    hits = [hit for word in said.frequent for hit in (await _searched(office, matter, word))["hits"]]
    senders = sorted({hit["sender"] for hit in hits})
    conversations = sorted({hit["conversation"] for hit in hits})
    queries = queries_of(said, senders, conversations)
    fresh = await _matter_of_everything(office)
    asked: list[Asked] = []
    for number, (kind, query) in enumerate(queries):
        report(f"query {number + 1} of {len(queries)}")
        began = time.monotonic()
        await _searched(office, fresh, query)
        asked.append(Asked(kind, time.monotonic() - began))
    return figures_of_queries(asked)


def figures_of_queries(asked: Sequence[Asked]) -> list[Figure]:
    """Return the figures of queries: all of them, and by kind which are slow."""
    seconds = [each.seconds for each in asked]
    by_kind: defaultdict[str, list[float]] = defaultdict(list)
    for each in asked:
        by_kind[each.kind].append(each.seconds)
    medians = sorted(((percentile_of(own, 50), kind) for kind, own in by_kind.items()), reverse=True)
    return [
        figure_of(f"query of {len(asked)} different ones, p50", percentile_of(seconds, 50) * 1e3, "ms"),
        figure_of(
            f"query of {len(asked)} different ones, p95",
            percentile_of(seconds, 95) * 1e3,
            "ms",
            most=MOST_QUERY_MS,
        ),
        *[figure_of(f"query for {kind}, p50", median * 1e3, "ms") for median, kind in medians],
    ]


async def delay_figures(office: Office, matter: str, report: Report) -> list[Figure]:
    """Return how long after its ack counsel finds a message by a word of its own, under a steady load."""
    report(f"{SENDS_A_SECOND:g} messages a second")
    addresses = list(office.facts["gateways"].values())
    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as http:
        senders = await senders_in(office.tenant, office.facts, http, addresses)
        try:
            sent, delays = await asyncio.gather(
                senders.paced(SENDS_A_SECOND, LIVE_SECONDS), _probed(office, matter, senders)
            )
        finally:
            await senders.close()
    return figures_of_delays(sent, delays)


def figures_of_delays(sent: Round, delays: Sequence[float]) -> list[Figure]:
    """Return the figures of the load, and of how soon the probes among it were found."""
    return [
        figure_of("acked sends while probes are looked for", sent.per_second, "1/s", least=LEAST_SENDS),
        figure_of(f"ack of a message to its hit, {len(delays)} probes, p50", percentile_of(delays, 50), "s"),
        figure_of(
            f"ack of a message to its hit, {len(delays)} probes, p95",
            percentile_of(delays, 95),
            "s",
            most=MOST_DELAY_SECONDS,
        ),
    ]


async def _probed(office: Office, matter: str, senders: Senders) -> list[float]:
    """Return how long after its ack each probe was found.

    Probes are sent at a steady rate, whatever became of the ones before. One search after the other looks
    for all that are not found yet: many at once would be a load of their own, which grows with the delay.
    """
    acked: dict[str, float] = {}
    delays: list[float] = []
    async with asyncio.TaskGroup() as group:
        probes = [
            group.create_task(_probe(senders, number, acked))
            for number in range(int(LIVE_SECONDS * PROBES_A_SECOND))
        ]
        while acked or not all(probe.done() for probe in probes):
            if acked:
                delays += await _found_of(office, matter, acked)
            await asyncio.sleep(_POLL_SECONDS)
    return delays


async def _probe(senders: Senders, number: int, acked: dict[str, float]) -> None:
    """Send a probe when it is its turn, and say when it was acknowledged."""
    await asyncio.sleep(number / PROBES_A_SECOND)
    word = f"probe{uuid4().hex}"
    await senders.say(number, f"{word} is looked for")
    acked[word] = time.monotonic()


async def _found_of(office: Office, matter: str, acked: dict[str, float]) -> list[float]:
    """Look for the oldest probes, take away those that are found, and return how long that took."""
    wanted = list(acked)[:HITS_A_PAGE]
    hits = (await _searched(office, matter, " OR ".join(wanted)))["hits"]
    now = time.monotonic()
    found = {word for hit in hits for word in wanted if word in hit["excerpt"]}
    if now - min(acked.values()) > _PATIENCE_SECONDS and not found:
        raise RunnerError("a message that was acknowledged is not found")
    return [now - acked.pop(word) for word in sorted(found)]


async def _matter_of_everything(office: Office) -> str:
    made = await office.officials.counsel.post(MATTERS, {"name": "Measurement", "everything": True})
    matter: str = made["matter"]
    return matter


async def _searched(office: Office, matter: str, query: str) -> Mapping[str, Any]:
    wanted = {"query": query, "limit": HITS_A_PAGE}
    return await office.officials.counsel.post(f"{MATTERS}/{matter}/searches", wanted)
