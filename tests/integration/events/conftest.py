"""Fixtures of the tests of libs/events."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from infra.engines.valkey import ValkeyServer
from tests.integration.db.sample import SampleDatabase, sample_database_of
from tests.integration.events.kit import House, house_of
from tests.support.engines import Engines


@pytest.fixture
def sample(engines: Engines) -> Iterator[SampleDatabase]:
    """Give a fresh database of the sample service."""
    with sample_database_of(engines) as database:
        yield database


@pytest.fixture
async def house(sample: SampleDatabase, fresh_valkey: ValkeyServer) -> AsyncIterator[House]:
    """Give a source and its consumer, with a Valkey of their own."""
    async with house_of(sample, Redis.from_url(fresh_valkey.url().reveal())) as opened:
        yield opened
