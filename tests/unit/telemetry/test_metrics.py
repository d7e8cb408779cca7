"""Metrics live in a registry of their own process."""

import pytest

from libs.telemetry.metrics import Metrics


def test_a_metric_asked_for_twice_is_the_same():
    metrics = Metrics("keys")
    metrics.counter("commits", "Commits", ("kind",)).labels("live").inc()
    metrics.counter("commits", "Commits", ("kind",)).labels("live").inc(2)
    assert b'muniment_commits_total{kind="live"} 3.0' in metrics.exposition()


def test_two_processes_share_nothing():
    one, other = Metrics("keys"), Metrics("keys")
    one.gauge("lag", "Lag").set(4)
    other.gauge("lag", "Lag").set(5)
    assert b"muniment_lag 4.0" in one.exposition()
    assert b"muniment_lag 5.0" in other.exposition()


def test_a_name_keeps_its_kind():
    metrics = Metrics("keys")
    metrics.counter("commits", "Commits")
    with pytest.raises(ValueError, match="commits is a Counter"):
        metrics.gauge("commits", "Commits")
    with pytest.raises(ValueError, match="commits is a Counter"):
        metrics.histogram("commits", "Commits")


def test_durations_and_the_process_itself_are_exposed():
    metrics = Metrics("keys")
    metrics.histogram("commit_seconds", "Time of a commit").observe(0.003)
    shown = metrics.exposition()
    assert b'muniment_commit_seconds_bucket{le="0.005"} 1.0' in shown
    assert b"process_resident_memory_bytes" in shown
