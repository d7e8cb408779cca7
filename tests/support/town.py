"""People of a fresh tenant on the running platform, each with a client of the SDK."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest

from libs.client.client import Client
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from services.runner.demo.people import Tenant, make_tenant, provision, sign_in_codes
from services.runner.demo.script import person_of
from tests.support.platform import Platform


class Town:
    """A tenant and those who live in it."""

    def __init__(self, platform: Platform, http: httpx.AsyncClient) -> None:
        self.platform = platform
        self.http = http
        self.clock = SystemClock()
        self.randomness = SystemRandomness()
        self.ids = SystemIds(self.clock, self.randomness)
        self.gateways: list[str] = list(platform.facts["gateways"].values())
        self.tenant: Tenant
        self.principals: list[UUID] = []

    async def settle(self, count: int) -> list[Client]:
        """Provision `count` people in a new tenant and sign them in."""
        operator = self.platform.operator
        self.tenant = make_tenant(operator, f"town-{self.ids.uuid7().hex[-12:]}", "Town")
        people = [person_of(number) for number in range(count)]
        origin = self.platform.origin
        self.principals = await provision(self.http, origin, self.tenant, people, lambda _: None)
        clients = [Client(origin, self.http, self.clock, self.ids, self.randomness) for _ in self.principals]
        codes = sign_in_codes(operator, self.tenant, self.principals)
        for client, code in zip(clients, codes, strict=True):
            await client.sign_in_with_code(code, device_name="test")
        return clients

    def client(self) -> Client:
        """Return a client that nobody has signed in with."""
        return Client(self.platform.origin, self.http, self.clock, self.ids, self.randomness)


@pytest.fixture
async def town(platform: Platform) -> AsyncIterator[Town]:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        yield Town(platform, http)
