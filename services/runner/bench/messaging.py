"""The figures of messaging: acked sends against plain commits, the share of each part, start and memory."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from services.runner.bench.baseline import plain_clients
from services.runner.bench.figures import Figure, figure_of
from services.runner.bench.processes import processor_seconds, proportional_bytes
from services.runner.bench.sends import Round, prepared_senders
from services.runner.temporary import running, temporary_folder

SENDERS: Final = "senders"
ROUNDS: Final = 5
ROUND_SECONDS: Final = 3.0
WARM_UP_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 1.0
"""Before each measurement, so that none pays for what the one before left to write out and to publish."""
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
    """Return acked sends a second against plain commits, measured in turns, and each part's share.

    Twenty sockets at one gateway are measured against twenty plain clients, for that is how one writer
    commits; the same twenty over all gateways show what sharing costs: smaller commits, and more of them.
    """
    report("preparing senders and plain clients")
    addresses = list(facts["gateways"].values())
    spent = Spent(facts["processes"])
    async with (
        httpx.AsyncClient(timeout=30.0, trust_env=False) as http,
        plain_clients(facts["count_database"]) as plain,
    ):
        together = await prepared_senders(facts, http, addresses[:1])
        apart = await prepared_senders(facts, http, addresses)
        for warming in (together.round, apart.round, plain.commits_per_second):
            await warming(WARM_UP_SECONDS)
        rounds: list[tuple[Round, Round, float]] = []
        for number in range(ROUNDS):
            report(f"round {number + 1} of {ROUNDS}")
            await asyncio.sleep(PAUSE_SECONDS)
            with spent.counting():
                sent = await together.round(ROUND_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)
            spread = await apart.round(ROUND_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)
            rounds.append((sent, spread, await plain.commits_per_second(ROUND_SECONDS)))
        await together.close()
        await apart.close()
    baselines = [commits for _, _, commits in rounds]
    return [
        *_speed_of("at one gateway", [sent for sent, _, _ in rounds], baselines, LEAST_RATIO),
        *_speed_of(f"over {len(addresses)} gateways", [sent for _, sent, _ in rounds], baselines, None),
        *shares_of(spent.seconds, sum(len(sent.latencies) for sent, _, _ in rounds)),
    ]


def _speed_of(
    where: str, rounds: list[Round], baselines: list[float], least_ratio: float | None
) -> list[Figure]:
    """Return the median speed, as measured in the round whose ratio to its own baseline is the median.

    Rounds that stand side by side share the machine's mood; medians taken apart would compare moods.
    """
    measured = sorted(
        zip((each.per_second for each in rounds), baselines, strict=True), key=lambda pair: pair[0] / pair[1]
    )
    speed, baseline = measured[len(measured) // 2]
    percentiles = statistics.quantiles((latency for each in rounds for latency in each.latencies), n=100)
    return [
        figure_of(
            f"acked sends of 20 sockets {where}, 1:1, 200 bytes",
            speed,
            "1/s",
            baseline=baseline,
            least_ratio=least_ratio,
        ),
        figure_of(f"send to ack, p50, {where}", percentiles[49] * 1e3, "ms"),
        figure_of(f"send to ack, p99, {where}", percentiles[98] * 1e3, "ms"),
    ]


class Spent:
    """Processor seconds of each kind of process, and of the senders in this one, while counting."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        """Count the named `processes`, name → pid."""
        self._processes = processes
        self.seconds: dict[str, float] = {}

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is spent within the block."""
        before = self._now()
        yield
        for kind, seconds in self._now().items():
            self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds - before.get(kind, 0.0)

    def _now(self) -> dict[str, float]:
        return {**processor_seconds(self._processes), SENDERS: time.process_time()}


def shares_of(spent: Mapping[str, float], messages: int) -> list[Figure]:
    """Return the processor time a message of each kind of process, and its share of all parts.

    The senders stand by themselves: they are no part of the platform.
    """
    parts = {kind: seconds for kind, seconds in spent.items() if kind != SENDERS}
    whole = sum(parts.values())
    figures = [figure_of("processor time a message: all parts", whole / messages * _MICRO, "µs")]
    for kind, seconds in sorted(parts.items(), key=lambda item: -item[1]):
        figures.append(figure_of(f"processor time a message: {kind}", seconds / messages * _MICRO, "µs"))
        share = seconds / whole if whole else 0.0
        figures.append(figure_of(f"share of processor time: {kind}", share, "of 1"))
    driving = spent.get(SENDERS, 0.0) / messages * _MICRO
    return [*figures, figure_of("processor time a message: the senders beside", driving, "µs")]


def with_deployment(report: Report, measure: Callable[[Mapping[str, Any]], list[Figure]]) -> list[Figure]:
    """Return the figures of the starts and of `measure`, all on one temporary data folder."""
    with temporary_folder() as data:
        figures = start_figures(data, report)
        with running(data) as facts:
            return measure(facts) + figures
