"""Prometheus metrics in a registry of one process: made by wiring after the fork, never at import."""

from collections.abc import Sequence
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Buckets for durations, from a millisecond to ten seconds."""

M = TypeVar("M", Counter, Gauge, Histogram)


class Metrics:
    """The metrics of one process; asking twice for a name gives the same metric.

    Names are `muniment_<name>`; every one carries the process's `service` as a label of the target,
    so it is no label here. Labels never hold ids of persons, tenants or conversations.
    """

    def __init__(self, service: str) -> None:
        """Start empty, apart from what the operating system says of this process."""
        self.service = service
        self._registry = CollectorRegistry()
        self._metrics: dict[str, Counter | Gauge | Histogram] = {}
        ProcessCollector(registry=self._registry)

    def counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        """Return a count that only grows (`…_total`). Raises ValueError when the name is of another kind."""
        return self._once(Counter, name, meaning, labels)

    def gauge(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
        """Return a level that rises and falls. Raises ValueError when the name is of another kind."""
        return self._once(Gauge, name, meaning, labels)

    def histogram(
        self, name: str, meaning: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """Return a distribution, of seconds unless `buckets` say otherwise."""
        if (known := self._metrics.get(name)) is not None:
            return _of_kind(Histogram, known, name)
        made = Histogram(f"muniment_{name}", meaning, labels, buckets=buckets, registry=self._registry)
        self._metrics[name] = made
        return made

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def _once(self, kind: type[M], name: str, meaning: str, labels: Sequence[str]) -> M:
        if (known := self._metrics.get(name)) is not None:
            return _of_kind(kind, known, name)
        made = kind(f"muniment_{name}", meaning, labels, registry=self._registry)
        self._metrics[name] = made
        return made


def _of_kind(kind: type[M], metric: Counter | Gauge | Histogram, name: str) -> M:
    if not isinstance(metric, kind):
        msg = f"the metric {name} is a {type(metric).__name__}, not a {kind.__name__}"
        raise ValueError(msg)  # noqa: TRY004 - the name is wrong, not the type of an argument
    return metric
