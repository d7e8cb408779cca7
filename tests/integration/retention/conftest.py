"""An office for each test."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.integration.retention.office import Office, office_in
from tests.support.engines import ServiceDatabase


@pytest.fixture
async def office(database_of: Callable[[str], ServiceDatabase]) -> AsyncIterator[Office]:
    async with office_in(database_of("retention")) as opened:
        yield opened
