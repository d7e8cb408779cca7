"""A hold service with its executors."""

from collections.abc import AsyncIterator, Callable

import pytest

from infra.engines.valkey import ValkeyServer
from services.holds.domain.holds import EXECUTORS
from tests.integration.holds.town import Town, town_of
from tests.support.engines import ServiceDatabase


@pytest.fixture
async def town(
    database_of: Callable[[str], ServiceDatabase], fresh_valkey: ValkeyServer
) -> AsyncIterator[Town]:
    async with town_of(database_of, fresh_valkey, EXECUTORS) as opened:
        yield opened
