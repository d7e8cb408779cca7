"""Every index that Muniment can search by, fresh for each test."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from libs.kernel.ids import TenantId
from services.ediscovery.adapters.tantivy import TantivyIndex
from services.ediscovery.ports.index import SearchIndex
from tests.contract.search.reference import Log, OracleIndex


@pytest.fixture
def tenant() -> TenantId:
    """Give a tenant that nothing else uses."""
    return TenantId(uuid4())


@pytest.fixture
def log() -> Log:
    """Give the log from which an index is written anew."""
    return Log()


@pytest.fixture(params=["oracle", "tantivy"])
def open_index(request: pytest.FixtureRequest, log: Log, tmp_path: Path) -> Callable[[], SearchIndex]:
    """Give a function that opens the index, again after a stop, too."""
    oracle = OracleIndex()
    opens: dict[str, Callable[[], SearchIndex]] = {
        "oracle": lambda: oracle,
        "tantivy": lambda: TantivyIndex(tmp_path / "search", log),
    }
    return opens[request.param]


@pytest.fixture
def index(open_index: Callable[[], SearchIndex]) -> SearchIndex:
    """Give an index with nothing in it."""
    return open_index()
