"""Key services to test."""

import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from uuid import UUID, uuid4

import pytest
import structlog

from infra.engines.openbao import OpenBaoServer
from infra.engines.valkey import ValkeyServer
from libs.telemetry.logs import configure_logging
from services.keys.settings import Settings
from tests.integration.keys.service import POLICY, Service, running, settings_of
from tests.support.engines import Engines, ServiceDatabase


@pytest.fixture(autouse=True)
def log() -> Iterator[io.StringIO]:
    """Log as the service does, the drivers down to their debug lines, and give all that was logged."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, structlog.get_config()
    drivers = [logging.getLogger(name) for name in ("hvac", "urllib3", "httpx", "psycopg", "asyncio")]
    levels = [driver.level for driver in drivers]
    stream = io.StringIO()
    configure_logging("keys", level="debug", stream=stream)
    for driver in drivers:
        driver.setLevel(logging.DEBUG)
    yield stream
    for driver, level in zip(drivers, levels, strict=True):
        driver.setLevel(level)
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.configure(**before[2])


@pytest.fixture
def database(database_of: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    """Give a fresh database of the key service."""
    return database_of("keys")


@pytest.fixture
def settings(engines: Engines, database: ServiceDatabase, fresh_valkey: ValkeyServer) -> Settings:
    """Give the settings of a key service on a database of its own and the run's OpenBao."""
    with engines.alone("vault-policy"):
        role = engines.openbao.provision(policy=POLICY)
    return settings_of(database, fresh_valkey, engines.openbao, role)


@pytest.fixture
async def keys(settings: Settings, database: ServiceDatabase) -> AsyncIterator[Service]:
    """Give a running key service."""
    async with running(settings, database) as service:
        yield service


@pytest.fixture
async def keys_on_own_vault(
    database: ServiceDatabase, fresh_valkey: ValkeyServer, fresh_openbao: OpenBaoServer
) -> AsyncIterator[Service]:
    """Give a running key service on an OpenBao that the test may seal, stop and kill."""
    role = fresh_openbao.provision(policy=POLICY)
    async with running(settings_of(database, fresh_valkey, fresh_openbao, role), database) as service:
        yield service


@pytest.fixture
def tenant() -> UUID:
    return uuid4()


@pytest.fixture
def conversation() -> UUID:
    return uuid4()
