"""Gateways to test, on a database of their own and the real key service."""

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from infra.engines.valkey import ValkeyServer
from libs.authn.actor import Actor
from libs.kernel.ids import TenantId
from tests.integration.keys.conftest import keys, settings
from tests.integration.keys.service import Service
from tests.integration.messaging.gateways import Gateway, gateway, person, settings_of
from tests.support.engines import ServiceDatabase

__all__ = ["keys", "settings"]


@pytest.fixture
def database(database_of: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    """Give a fresh database of the key service (its fixtures ask for it by this name)."""
    return database_of("keys")


@pytest.fixture
def messaging_database(database_of: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    """Give a fresh database of messaging."""
    return database_of("messaging")


@pytest.fixture
async def one(
    messaging_database: ServiceDatabase, fresh_valkey: ValkeyServer, keys: Service
) -> AsyncIterator[Gateway]:
    """Give a gateway."""
    async with gateway(
        settings_of(messaging_database, fresh_valkey, "gw-1"), messaging_database, keys
    ) as running:
        yield running


@pytest.fixture
async def two(
    messaging_database: ServiceDatabase, fresh_valkey: ValkeyServer, keys: Service
) -> AsyncIterator[Gateway]:
    """Give another gateway on the same database and the same Valkey."""
    async with gateway(
        settings_of(messaging_database, fresh_valkey, "gw-2"), messaging_database, keys
    ) as running:
        yield running


@pytest.fixture
def tenant() -> TenantId:
    return TenantId(uuid4())


@pytest.fixture
def people(one: Gateway, tenant: TenantId) -> tuple[Actor, Actor, Actor]:
    """Give three people who are known to messaging."""
    three = (person(tenant), person(tenant), person(tenant))
    one.know(*three)
    return three
