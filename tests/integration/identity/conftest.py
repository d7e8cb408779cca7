"""The identity service, fresh for each test."""

import pytest

from tests.integration.identity.service import running_identity


@pytest.fixture
async def identity(database_of, engines):
    """Give a running identity service with nothing in it."""
    async with running_identity(database_of("identity"), engines.valkey.url()) as service:
        yield service


@pytest.fixture
async def acme(identity):
    """Give a tenant."""
    return await identity.make_tenant("acme")
