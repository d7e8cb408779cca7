"""The measurements of retention run on the real platform; what they come to is not judged here."""

import psycopg
import pytest

from services.runner.bench import retention
from services.runner.bench.corpora import Load, corpus_of
from services.runner.bench.retention import archive_figures

pytestmark = pytest.mark.xdist_group("platform")


async def test_an_archive_is_measured_from_its_import_to_its_last_payload(platform, monkeypatch) -> None:
    monkeypatch.setattr(retention, "DRY_RUNS", 1)
    monkeypatch.setattr(retention, "HOLD_ROUNDS", 2)
    monkeypatch.setattr(retention, "RUNS", 2)
    said: list[str] = []
    with corpus_of(Load(messages=1_500)) as corpus:
        found = await archive_figures(platform.facts, corpus, said.append)
    figures = {figure.name: figure for figure in found}
    assert figures["messages imported, as `muniment import` does"].value > 0
    assert figures["hold placed to in force, median"].value > 0
    assert figures["dry run of the whole corpus, slowest of 1"].goal == "at most 2 s"
    destroyed = figures["payloads destroyed by a run, by one plain DELETE"]
    assert destroyed.baseline is not None
    assert destroyed.ratio == pytest.approx(destroyed.value / destroyed.baseline, rel=0.01)
    assert figures["payloads destroyed by a run, by DELETEs of 1,000"].ratio
    assert said[-1] == "run 2 of 2"
    with psycopg.connect(platform.facts["databases"]["messaging"]) as connection:
        schemas = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'bench'").fetchall()
    assert schemas == [], "the copies are gone"
