"""Fixtures of the tests of libs/db."""

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from libs.db.pool import TenantDatabase
from tests.integration.db.sample import SampleDatabase, sample_database_of
from tests.support.engines import Engines


@pytest.fixture
def sample(engines: Engines) -> Iterator[SampleDatabase]:
    """Give a fresh database of the sample service."""
    with sample_database_of(engines) as database:
        yield database


@pytest.fixture
def admin(sample: SampleDatabase) -> Iterator[psycopg.Connection]:
    """Give an administrator's connection to it, in autocommit."""
    with psycopg.connect(sample.admin.reveal(), autocommit=True) as connection:
        yield connection


@pytest.fixture
async def notes(sample: SampleDatabase) -> AsyncIterator[TenantDatabase]:
    """Give a pool of one connection for the app role: whatever leaks, leaks to the next user."""
    database = TenantDatabase(sample.dsn("sample_app"), "notes", max_size=1)
    await database.open()
    yield database
    await database.close()
