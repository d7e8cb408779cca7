"""Two services for each test."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.integration.certificates.registry import Registry, registry_in
from tests.support.engines import ServiceDatabase


@pytest.fixture
async def registry(database_of: Callable[[str], ServiceDatabase]) -> AsyncIterator[Registry]:
    async with registry_in(database_of) as opened:
        yield opened
