"""The measurements of the audit log run on the real platform; what they come to is not judged here."""

import psycopg
import pytest

from services.runner.bench import audit
from services.runner.bench.audit import backlog_figures, latency_figures, send_figures
from services.runner.bench.facts import books_of
from services.runner.bench.plain_rows import plain_rows
from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("bench of audit")


async def test_facts_are_measured_from_outbox_to_checkpoint_and_sends_with_and_without_them(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(audit, "ROUNDS", 1)
    monkeypatch.setattr(audit, "FACTS_A_ROUND", 1_000)
    monkeypatch.setattr(audit, "STEADY_SECONDS", 0.5)
    monkeypatch.setattr(audit, "SEND_ROUNDS", 1)
    monkeypatch.setattr(audit, "SEND_SECONDS", 0.3)
    monkeypatch.setattr(audit, "WARM_UP_SECONDS", 0.1)
    said: list[str] = []
    platform = Platform(tmp_path / "data").start()  # of its own: its facts have no acts
    try:
        facts = platform.facts
        found = await send_figures(facts, said.append)
        with books_of(facts) as books, plain_rows(facts["databases"]["audit"]) as plain:
            found += latency_figures(books, said.append)
            found += backlog_figures(facts, books, plain, said.append)
        with psycopg.connect(facts["databases"]["audit"]) as connection:
            left = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'bench'").fetchall()
    finally:
        platform.stop()
    figures = {figure.name: figure for figure in found}
    assert all(figure.value > 0 for figure in found if figure.goal is not None)
    assert figures["entries integrated of a backlog"].goal == "at least 5000 1/s"
    against = figures["entries integrated of a backlog, by packed inserts"]
    assert against.baseline is not None
    assert against.ratio == pytest.approx(against.value / against.baseline, rel=0.01)
    assert figures["entries integrated of a backlog, by the driver's inserts"].ratio
    assert left == [], "the plain tables are gone"
    assert said
