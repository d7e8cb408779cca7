"""The figures of messaging: acked sends against plain commits, the share of each part, start and memory."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from services.runner.bench.baseline import plain_clients
from services.runner.bench.figures import Figure, figure_of
from services.runner.bench.processes import processor_seconds, proportional_bytes
from services.runner.bench.sends import Round, prepared_senders
from services.runner.temporary import running, temporary_folder

ROUNDS: Final = 5
ROUND_SECONDS: Final = 4.0
WARM_UP_SECONDS: Final = 2.0
SETTLE_SECONDS: Final = 3.0
LEAST_RATIO: Final = 0.2
FIRST_START_SECONDS: Final = 20.0
SECOND_START_SECONDS: Final = 10.0
MOST_GIBIBYTES: Final = 1.2
_GIB: Final = 1024.0**3
_MICRO: Final = 1e6

Report = Callable[[str], None]


def start_figures(data: Path, report: Report) -> list[Figure]:
    """Return how long a start takes from an empty folder and a second time, and the memory at rest."""
    report("starting from an empty folder")
    began = time.monotonic()
    with running(data):
        first = time.monotonic() - began
    report("starting again")
    began = time.monotonic()
    with running(data) as facts:
        second = time.monotonic() - began
        time.sleep(SETTLE_SECONDS)
        memory = proportional_bytes(facts["processes"].values()) / _GIB
    return [
        figure_of("start from an empty folder", first, "s", most=FIRST_START_SECONDS),
        figure_of("second start", second, "s", most=SECOND_START_SECONDS),
        figure_of("proportional memory of all processes, idle", memory, "GiB", most=MOST_GIBIBYTES),
    ]


async def send_figures(facts: Mapping[str, Any], report: Report) -> list[Figure]:
    """Return acked sends a second against plain commits, measured in turns, and each part's share."""
    rounds: list[Round] = []
    baselines: list[float] = []
    spent: dict[str, float] = {}
    driving = 0.0
    report("preparing twenty senders and twenty plain clients")
    async with (
        httpx.AsyncClient(timeout=30.0, trust_env=False) as http,
        plain_clients(facts["count_database"]) as plain,
    ):
        senders = await prepared_senders(facts, http)
        await senders.round(WARM_UP_SECONDS)
        await plain.commits_per_second(WARM_UP_SECONDS)
        for number in range(ROUNDS):
            report(f"round {number + 1} of {ROUNDS}")
            before = processor_seconds(facts["processes"])
            drove = time.process_time()
            rounds.append(await senders.round(ROUND_SECONDS))
            driving += time.process_time() - drove
            after = processor_seconds(facts["processes"])
            for kind, seconds in after.items():
                spent[kind] = spent.get(kind, 0.0) + seconds - before.get(kind, 0.0)
            baselines.append(await plain.commits_per_second(ROUND_SECONDS))
        await senders.close()
    messages = sum(len(each.latencies) for each in rounds)
    return [
        *_speed_of(rounds, baselines),
        *shares_of(spent, messages),
        figure_of("processor time a message: the senders beside", driving / messages * _MICRO, "µs"),
    ]


def _speed_of(rounds: list[Round], baselines: list[float]) -> list[Figure]:
    latencies = sorted(latency for each in rounds for latency in each.latencies)
    percentiles = statistics.quantiles(latencies, n=100)
    return [
        figure_of(
            "acked sends, 20 sockets, closed loop, 1:1, 200 bytes",
            statistics.median(each.per_second for each in rounds),
            "1/s",
            baseline=statistics.median(baselines),
            least_ratio=LEAST_RATIO,
        ),
        figure_of("send to ack, p50", percentiles[49] * 1e3, "ms"),
        figure_of("send to ack, p99", percentiles[98] * 1e3, "ms"),
    ]


def shares_of(spent: Mapping[str, float], messages: int) -> list[Figure]:
    """Return the processor time a message of each kind of process, and its share of all of it."""
    whole = sum(spent.values())
    figures = [figure_of("processor time a message: all parts", whole / messages * _MICRO, "µs")]
    for kind, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        figures.append(figure_of(f"processor time a message: {kind}", seconds / messages * _MICRO, "µs"))
        figures.append(
            figure_of(f"share of processor time: {kind}", seconds / whole if whole else 0.0, "of 1")
        )
    return figures


def with_deployment(report: Report, measure: Callable[[Mapping[str, Any]], list[Figure]]) -> list[Figure]:
    """Return the figures of the starts and of `measure`, all on one temporary data folder."""
    with temporary_folder() as data:
        figures = start_figures(data, report)
        with running(data) as facts:
            return measure(facts) + figures
