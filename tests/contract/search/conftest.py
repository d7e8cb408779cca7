"""Every index that Muniment can search by, fresh for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from opensearchpy import OpenSearch

from libs.kernel.ids import TenantId
from services.ediscovery.adapters.opensearch import OpenSearchIndex
from services.ediscovery.adapters.tantivy import TantivyIndex
from services.ediscovery.ports.index import SearchIndex
from tests.contract.search.reference import Log, OracleIndex
from tests.support.engines import Engines


@pytest.fixture
def tenant() -> TenantId:
    """Give a tenant that nothing else uses."""
    return TenantId(uuid4())


@pytest.fixture
def log() -> Log:
    """Give the log from which an index is written anew."""
    return Log()


@pytest.fixture(scope="session")
def opensearch(engines: Engines) -> Iterator[OpenSearch]:
    """Give a client of the run's OpenSearch."""
    with OpenSearch(engines.opensearch.address, timeout=60) as client:
        yield client


@pytest.fixture
def in_opensearch(opensearch: OpenSearch, tenant: TenantId) -> Iterator[OpenSearchIndex]:
    """Give the index in OpenSearch."""
    yield OpenSearchIndex(opensearch)
    for index in opensearch.indices.get(index=f"muniment-{tenant.hex}-*"):
        opensearch.indices.delete(index=index)


@pytest.fixture(
    params=["oracle", "tantivy", pytest.param("opensearch", marks=pytest.mark.engine("opensearch"))]
)
def open_index(request: pytest.FixtureRequest, log: Log, tmp_path: Path) -> Callable[[], SearchIndex]:
    """Give a function that opens the index, again after a stop, too."""
    oracle = OracleIndex()
    opens: dict[str, Callable[[], SearchIndex]] = {
        "oracle": lambda: oracle,
        "tantivy": lambda: TantivyIndex(tmp_path / "search", log),
        "opensearch": lambda: request.getfixturevalue("in_opensearch"),
    }
    return opens[request.param]


@pytest.fixture
def index(open_index: Callable[[], SearchIndex]) -> SearchIndex:
    """Give an index with nothing in it."""
    return open_index()
