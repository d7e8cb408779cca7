"""A world for each test."""

from collections.abc import AsyncIterator, Callable

import pytest

from infra.engines.valkey import ValkeyServer
from tests.integration.keys.service import POLICY, running
from tests.integration.keys.service import settings_of as key_settings_of
from tests.integration.shredding.world import World, world_in
from tests.support.engines import Engines, ServiceDatabase


@pytest.fixture
async def world(
    engines: Engines, database_of: Callable[[str], ServiceDatabase], fresh_valkey: ValkeyServer
) -> AsyncIterator[World]:
    messaging, keys = database_of("messaging"), database_of("keys")
    with engines.alone("vault-policy"):
        role = engines.openbao.provision(policy=POLICY)
    async with (
        running(key_settings_of(keys, fresh_valkey, engines.openbao, role), keys) as service,
        world_in(messaging, keys, service, fresh_valkey) as opened,
    ):
        yield opened
