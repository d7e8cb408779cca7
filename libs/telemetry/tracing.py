"""Traces across services and streams: off, at no cost, unless an exporter is given.

A trace crosses HTTP in the header `traceparent` and a stream in the CloudEvents extension of that name.
Source: W3C Trace Context; the CloudEvents extension for distributed tracing.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

Facts = Mapping[str, str | int | float | bool]
_NOTHING: Final[AbstractContextManager[None]] = nullcontext()


class Tracing:
    """The spans of one process; without an exporter every method does nothing."""

    def __init__(self, service: str, exporter: "SpanExporter | None" = None) -> None:
        """Send the spans of `service` to `exporter`, in batches from a thread of its own."""
        self._spans = None if exporter is None else _Spans(service, exporter)

    def span(
        self, name: str, *, traceparent: str | None = None, facts: Facts | None = None
    ) -> AbstractContextManager[None]:
        """Open a span around a block, below `traceparent` or below the span that is open here.

        Facts are ids, counts and names of routes; never content. An exception marks the span by its type.
        """
        return _NOTHING if self._spans is None else self._spans.span(name, traceparent, facts or {})

    def traceparent(self) -> str | None:
        """Return the open span in W3C form, to be carried by a call or an event; None when there is none."""
        return None if self._spans is None else self._spans.traceparent()

    def close(self) -> None:
        """Send what is still to be sent."""
        if self._spans is not None:
            self._spans.close()


class _Spans:
    """OpenTelemetry behind the port; its SDK is imported here alone, because it costs memory."""

    def __init__(self, service: str, exporter: "SpanExporter") -> None:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - see the class
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        self._provider = TracerProvider(resource=Resource({"service.name": service}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("muniment")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(self, name: str, traceparent: str | None, facts: Facts) -> Iterator[None]:
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

        parent = None if traceparent is None else self._propagator.extract({"traceparent": traceparent})
        # The exception's message may hold content: the span gets its type alone.
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            attributes=dict(facts),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent")

    def close(self) -> None:
        self._provider.shutdown()
