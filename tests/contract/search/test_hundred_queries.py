"""A hundred typed queries give the very hits of the oracle, on every engine, over a whole corpus."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from libs.kernel.ids import TenantId
from services.ediscovery.adapters.opensearch import OpenSearchIndex
from services.ediscovery.adapters.tantivy import TantivyIndex
from services.ediscovery.domain.documents import Cursor, Document, DocumentKey, Hit, Standing
from services.ediscovery.domain.query import Query, Scope
from services.ediscovery.ports.index import MOST_HITS, SearchIndex
from tests.contract.search.hundred import (
    WHOLE_CORPUS,
    Expected,
    batches,
    disagreements,
    read_corpus,
    typed,
    understood,
)
from tests.contract.search.reference import Log
from tests.contract.search.town import puts, shapes

pytestmark = pytest.mark.skipif(
    not WHOLE_CORPUS.exists(), reason="the corpus lies in ../shared/data, which is missing"
)

STREAM = "messaging/7"
SEED = 20261124
QUERIES = 100
PART = 20
"""Queries of one test over the whole corpus: all at once would take longer than a test may."""
SAMPLE = 3000
PAGE = 700
"""Smaller than what many of the queries find in the sample: so pages have to join without a seam."""
BATCH = 5000
ENGINES = ["tantivy", pytest.param("opensearch", marks=pytest.mark.engine("opensearch"))]


async def _fill(index: SearchIndex, tenant: TenantId, documents: Sequence[Document]) -> None:
    for first, some in batches(documents, BATCH):
        await index.apply(tenant, puts(some, first), Cursor(STREAM, first + len(some) - 1))


@pytest.fixture(scope="module")
def sample() -> list[Document]:
    return read_corpus(WHOLE_CORPUS, SAMPLE)


@pytest.fixture(scope="module")
def asked(sample: list[Document]) -> list[str]:
    return typed(sample, QUERIES, SEED)


@pytest.fixture(scope="module")
def expected(sample: list[Document]) -> Expected:
    return Expected(sample)


@pytest.mark.parametrize("open_index", ENGINES, indirect=True)
async def test_a_hundred_typed_queries_over_a_sample_give_the_oracle_s_hits(
    index: SearchIndex, tenant: TenantId, sample: list[Document], asked: list[str], expected: Expected
) -> None:
    await _fill(index, tenant, sample)
    assert await disagreements(index, tenant, expected, asked, PAGE) == []


def test_the_queries_are_of_every_kind_and_most_of_them_find_something(
    sample: list[Document], asked: list[str], expected: Expected
) -> None:
    assert len(set(asked)) == QUERIES
    assert asked == typed(sample, QUERIES, SEED)
    assert set().union(*(shapes(understood(text)) for text in asked)) == {
        "And", "Or", "Not", "Term", "Phrase", "Prefix", "Ids", "SentOn",
    }  # fmt: skip
    found = [len(expected.of(text)) for text in asked]
    assert sum(map(bool, found)) > 80
    assert sum(0 < number < SAMPLE for number in found) > 70
    assert max(found) > 2 * PAGE


@pytest.fixture(scope="module")
def whole() -> tuple[list[Document], list[str], Expected]:
    """Give the whole corpus, a hundred queries over it, and their hits."""
    documents = read_corpus(WHOLE_CORPUS)
    return documents, typed(documents, QUERIES, SEED), Expected(documents)


@pytest.fixture(scope="module", params=ENGINES)
def filled(
    request: pytest.FixtureRequest,
    whole: tuple[list[Document], list[str], Expected],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Callable[[], SearchIndex], TenantId]]:
    """Give what opens an index that has the whole corpus, and its tenant."""
    tenant, folder = TenantId(uuid4()), tmp_path_factory.mktemp("whole")

    def opened() -> SearchIndex:
        if request.param == "tantivy":
            return TantivyIndex(folder / "search", Log())
        return OpenSearchIndex(request.getfixturevalue("opensearch"))

    asyncio.run(_fill(opened(), tenant, whole[0]))
    yield opened, tenant
    asyncio.run(opened().drop(tenant))


@pytest.mark.prove
@pytest.mark.parametrize("first", range(0, QUERIES, PART))
async def test_a_hundred_typed_queries_over_the_whole_corpus_give_the_oracle_s_hits(
    filled: tuple[Callable[[], SearchIndex], TenantId],
    whole: tuple[list[Document], list[str], Expected],
    first: int,
) -> None:
    (opened, tenant), (documents, asked, expected) = filled, whole
    index = opened()
    assert await index.count(tenant) == len(documents)
    some = asked[first : first + PART]
    assert await disagreements(index, tenant, expected, some, MOST_HITS) == []


class DropsOne(TantivyIndex):
    """An adapter that loses one hit of all."""

    lost: DocumentKey

    async def search(
        self, tenant: TenantId, query: Query, scope: Scope, limit: int, after: Standing | None = None
    ) -> Sequence[Hit]:
        hits = await super().search(tenant, query, scope, limit, after)
        return [hit for hit in hits if hit.key != self.lost]


class RepeatsOne(TantivyIndex):
    """An adapter whose pages overlap by one hit."""

    async def search(
        self, tenant: TenantId, query: Query, scope: Scope, limit: int, after: Standing | None = None
    ) -> Sequence[Hit]:
        hits = await super().search(tenant, query, scope, limit, after)
        if after is None or not hits:
            return hits
        earlier = await super().search(tenant, query, scope, limit)
        return [earlier[-1], *hits][:limit]


@pytest.mark.planted
async def test_an_engine_that_drops_one_hit_is_noticed(
    tmp_path: Path,
    log: Log,
    tenant: TenantId,
    sample: list[Document],
    asked: list[str],
    expected: Expected,
) -> None:
    index = DropsOne(tmp_path / "search", log)
    index.lost = expected.of(asked[0])[-1].key
    await _fill(index, tenant, sample)
    wrong = await disagreements(index, tenant, expected, asked, PAGE)
    assert wrong[0].startswith(f"{asked[0]}: ")
    assert len(wrong) < QUERIES


@pytest.mark.planted
async def test_an_engine_whose_pages_overlap_is_noticed(
    tmp_path: Path,
    log: Log,
    tenant: TenantId,
    sample: list[Document],
    asked: list[str],
    expected: Expected,
) -> None:
    index = RepeatsOne(tmp_path / "search", log)
    await _fill(index, tenant, sample)
    assert await disagreements(index, tenant, expected, asked[:PART], PAGE)
