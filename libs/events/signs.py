"""What publishing and consuming show of themselves: counts, lags, and what somebody has to see."""

from collections.abc import Mapping

from libs.events.records import Cursors, StreamRecord
from libs.telemetry.logs import get_logger
from libs.telemetry.metrics import Metrics


class _Waiting:
    """Logs the beginning and the end of an outage, and nothing in between."""

    def __init__(self, who: str, **facts: str) -> None:
        self._who = who
        self._log = get_logger().bind(**facts)
        self._waits_for: str | None = None

    def waits_for(self, what: str, error: BaseException) -> None:
        """Note that `what` is away."""
        if self._waits_for != what:
            self._waits_for = what
            self._log.warning(f"{self._who} waits", waits_for=what, error=type(error).__name__)

    def goes_on(self) -> None:
        """Note that nothing is missing."""
        if self._waits_for is not None:
            self._log.info(f"{self._who} goes on", waited_for=self._waits_for)
            self._waits_for = None


class PublisherSigns(_Waiting):
    """What the publisher of one source shows."""

    def __init__(self, source: str, metrics: Metrics) -> None:
        """Count in `metrics`, with the source as label."""
        super().__init__("publisher", source=source)
        self._source = source
        self._copied = metrics.counter("outbox_published", "Events copied to streams.", ("source",))
        self._lag = metrics.gauge("outbox_lag_events", "Committed events not in their stream.", ("source",))
        self._behind = metrics.gauge(
            "outbox_consumer_lag_events", "Events a consumer has not taken in.", ("source", "consumer")
        )

    def copied(self, events: int) -> None:
        """Count copied events."""
        if events:
            self._copied.labels(self._source).inc(events)

    def lags(self, heads: Cursors, published: Cursors, cursors: Mapping[str, Cursors]) -> None:
        """Show how far the streams and each consumer are behind the heads."""
        self._lag.labels(self._source).set(sum(heads[part] - end for part, end in published.items()))
        for consumer, positions in cursors.items():
            behind = sum(max(0, head - positions[part]) for part, head in heads.items())
            self._behind.labels(self._source, consumer).set(behind)

    def complain(self, what: str, part: int, **facts: int) -> None:
        """Say loudly that history does not fit together."""
        self._log.error(what, part=part, **facts)


class ConsumerSigns(_Waiting):
    """What a projector or a worker shows."""

    def __init__(self, kind: str, name: str, source: str, metrics: Metrics) -> None:
        """Count in `metrics`, with the consumer's name and its source as labels."""
        super().__init__(kind, consumer=name, source=source)
        self._labels = (name, source)
        labels = ("consumer", "source")
        self._taken = metrics.counter("events_taken_in", "Events whose effect is committed.", labels)
        self._put_aside = metrics.counter("events_put_aside", "Events parked or dead-lettered.", labels)
        self._gaps = metrics.counter("events_from_outbox", "Events read from the owner after a gap.", labels)

    def took_in(self, events: int) -> None:
        """Count events whose effect is committed."""
        if events:
            self._taken.labels(*self._labels).inc(events)

    def filled(self, part: int, events: int) -> None:
        """Say that a stream had a gap and the owner filled it."""
        self._gaps.labels(*self._labels).inc(events)
        self._log.warning("a gap was filled from the outbox", part=part, events=events)

    def waits_behind(self, events: int) -> None:
        """Count events that wait behind one that was put aside."""
        if events:
            self._put_aside.labels(*self._labels).inc(events)

    def put_aside(self, record: StreamRecord, reason: str) -> None:
        """Say loudly that an event could not be taken in, and of whom it was."""
        self._put_aside.labels(*self._labels).inc()
        self._log.error(
            "an event was put aside",
            tenant=record.tenant,
            part=record.part,
            position=record.position,
            event_name=record.name,
            reason=reason,
        )

    def complain(self, what: str, error: BaseException, **facts: int) -> None:
        """Say that something failed that will be tried again."""
        self._log.error(what, error=type(error).__name__, **facts)
