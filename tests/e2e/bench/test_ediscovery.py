"""The measurements of eDiscovery run on the real platform; what they come to is not judged here."""

import pytest

from services.runner.bench import ediscovery
from services.runner.bench.corpora import Load, corpus_of
from services.runner.bench.ediscovery import search_figures

pytestmark = pytest.mark.xdist_group("platform")


async def test_a_corpus_is_indexed_searched_and_added_to(platform, monkeypatch) -> None:
    monkeypatch.setattr(ediscovery, "LIVE_SECONDS", 2.0)
    monkeypatch.setattr(ediscovery, "SENDS_A_SECOND", 50.0)
    said: list[str] = []
    with corpus_of(Load(messages=400)) as corpus:
        found = await search_figures(platform.facts, corpus, said.append)
    figures = {figure.name: figure for figure in found}
    assert figures["messages indexed, from the beginning of their import"].value > 0
    assert figures["memory of eDiscovery while it indexes, at most"].value > 20
    assert figures["query of 180 different ones, p95"].goal == "at most 200 ms"
    assert 0 < figures["acked sends while probes are looked for"].value < 60
    assert figures["ack of a message to its hit, 4 probes, p95"].value > 0
    assert said[-1] == "50 messages a second"
