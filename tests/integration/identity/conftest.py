"""The identity service, fresh for each test."""

import io
import logging

import pytest
import structlog

from libs.telemetry.logs import configure_logging
from tests.integration.identity.service import running_identity


@pytest.fixture(autouse=True)
def log():
    """Write the log as a process does, strictly, and give what was written."""
    stream, handlers, level = io.StringIO(), logging.getLogger().handlers[:], logging.getLogger().level
    configure_logging("identity", stream=stream, strict=True)
    yield stream
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


@pytest.fixture
async def identity(log, database_of, engines):
    """Give a running identity service with nothing in it."""
    async with running_identity(database_of("identity"), engines.valkey.url()) as service:
        yield service


@pytest.fixture
async def acme(identity):
    """Give a tenant."""
    return await identity.make_tenant("acme")
