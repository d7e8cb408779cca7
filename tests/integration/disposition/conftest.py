"""A log for each test."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.integration.disposition.logbook import Logbook, logbook_in
from tests.support.engines import ServiceDatabase


@pytest.fixture
async def logbook(database_of: Callable[[str], ServiceDatabase]) -> AsyncIterator[Logbook]:
    async with logbook_in(database_of("messaging")) as opened:
        yield opened
