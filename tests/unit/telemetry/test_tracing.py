"""Traces cross processes by `traceparent`, and cost nothing while nobody listens."""

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from libs.telemetry.tracing import Tracing

CANARY = "the takeover closes on Friday"


def test_without_an_exporter_nothing_is_traced():
    tracing = Tracing("keys")
    with tracing.span("work", facts={"entries": 3}):
        assert tracing.traceparent() is None
    tracing.close()


def test_a_span_continues_in_another_process():
    sent, received = InMemorySpanExporter(), InMemorySpanExporter()
    sender, receiver = Tracing("messaging", sent), Tracing("keys", received)
    with sender.span("commit", facts={"entries": 3}):
        carried = sender.traceparent()
    assert carried is not None
    with receiver.span("project", traceparent=carried):
        pass
    sender.close()
    receiver.close()
    (commit,), (project,) = sent.get_finished_spans(), received.get_finished_spans()
    assert commit.context is not None
    assert project.context is not None
    assert project.parent is not None
    assert project.context.trace_id == commit.context.trace_id
    assert project.parent.span_id == commit.context.span_id
    assert dict(commit.attributes or {}) == {"entries": 3}
    assert commit.resource.attributes["service.name"] == "messaging"


@pytest.mark.parametrize("bad", ["", "nonsense", "00-0-0-00", "é" * 55])
def test_a_bad_traceparent_starts_a_trace_of_its_own(bad: str):
    seen = InMemorySpanExporter()
    tracing = Tracing("keys", seen)
    with tracing.span("work", traceparent=bad):
        pass
    tracing.close()
    (span,) = seen.get_finished_spans()
    assert span.parent is None


def test_a_failed_span_tells_the_type_and_not_the_message():
    seen = InMemorySpanExporter()
    tracing = Tracing("keys", seen)
    with pytest.raises(ValueError, match="takeover"), tracing.span("work"):
        raise ValueError(CANARY)
    tracing.close()
    (span,) = seen.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "ValueError"
    assert CANARY not in span.to_json()
