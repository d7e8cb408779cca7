"""The load: twenty sockets that send one message after the other, each after the ack of the one before."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import httpx
import msgspec

from libs.client.client import Client
from libs.client.device import Device
from libs.client.state import Shown
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from services.runner.demo.people import Tenant, make_tenant, provision, sign_in_codes
from services.runner.demo.script import person_of
from services.runner.peers import Operator

SOCKETS: Final = 20
BODY: Final = "x" * 200


class Round(msgspec.Struct):
    """What one round came to: seconds each ack took, and the acks a second."""

    latencies: list[float]
    per_second: float


class Senders:
    """Twenty people in ten one-to-one conversations, on line through the gateways' own sockets."""

    def __init__(self, devices: Sequence[Device], conversations: Sequence[UUID], clock: SystemClock) -> None:
        """Send from device n to conversation n of the same place."""
        self._devices = devices
        self._conversations = conversations
        self._clock = clock

    async def round(self, seconds: float) -> Round:
        """Send for so long."""
        started = self._clock.monotonic()
        latencies: list[float] = []
        await asyncio.gather(
            *(
                self._send_until(started + seconds, device, conversation, latencies)
                for device, conversation in zip(self._devices, self._conversations, strict=True)
            )
        )
        return Round(latencies, len(latencies) / (self._clock.monotonic() - started))

    async def _send_until(
        self, until: float, device: Device, conversation: UUID, latencies: list[float]
    ) -> None:
        clock = self._clock.monotonic
        while (began := clock()) < until:
            await device.send(conversation, BODY)
            latencies.append(clock() - began)

    async def paced(self, a_second: float, seconds: float) -> Round:
        """Send for so long at a steady rate, all sockets in turn; who is late does not make up for it."""
        started = self._clock.monotonic()
        pause = len(self._devices) / a_second
        latencies: list[float] = []
        await asyncio.gather(
            *(
                self._send_paced(started + number / a_second, pause, started + seconds, number, latencies)
                for number in range(len(self._devices))
            )
        )
        return Round(latencies, len(latencies) / (self._clock.monotonic() - started))

    async def _send_paced(
        self, due: float, pause: float, until: float, number: int, latencies: list[float]
    ) -> None:
        clock = self._clock.monotonic
        while due < until:
            await asyncio.sleep(max(0.0, due - clock()))
            began = clock()
            await self._devices[number].send(self._conversations[number], BODY)
            latencies.append(clock() - began)
            due = max(due + pause, clock())

    async def say(self, number: int, text: str) -> None:
        """Send one text from a socket, all of them in turn, and return with its ack."""
        place = number % len(self._devices)
        await self._devices[place].send(self._conversations[place], text)

    async def close(self) -> None:
        """Close every socket."""
        await asyncio.gather(*(device.close() for device in self._devices))


async def prepared_senders(
    facts: Mapping[str, Any], http: httpx.AsyncClient, gateways: Sequence[str]
) -> Senders:
    """Make a tenant with its people and conversations, and put them on line at `gateways`.

    With several gateways, pairs are together at one and apart at two in turn.
    """
    name = f"bench-{SystemIds(SystemClock(), SystemRandomness()).uuid7().hex[-12:]}"
    return await senders_in(make_tenant(Operator(facts), name, "Measurement"), facts, http, gateways)


async def senders_in(
    tenant: Tenant, facts: Mapping[str, Any], http: httpx.AsyncClient, gateways: Sequence[str]
) -> Senders:
    """Bring the people and conversations into a tenant that stands, and put them on line at `gateways`."""
    clock, randomness = SystemClock(), SystemRandomness()
    ids = SystemIds(clock, randomness)
    operator = Operator(facts)
    people = [person_of(number) for number in range(SOCKETS)]
    principals = await provision(http, facts["origin"], tenant, people, lambda _: None)
    codes = sign_in_codes(operator, tenant, principals)
    clients = [Client(facts["origin"], http, clock, ids, randomness) for _ in people]
    for client, code in zip(clients, codes, strict=True):
        await client.sign_in_with_code(code, device_name="bench")
    conversations: list[UUID] = []
    for pair in range(SOCKETS // 2):
        begun = await clients[2 * pair].create_conversation("direct", [principals[2 * pair + 1]])
        conversations += [begun.conversation, begun.conversation]
    devices = [
        client.device(_ignored, gateways=[gateways[_gateway_of(number) % len(gateways)]])
        for number, client in enumerate(clients)
    ]
    for device in devices:
        await device.open()
    return Senders(devices, conversations, clock)


def _gateway_of(person: int) -> int:
    """Return on which gateway a person is: pairs are together and apart in turn."""
    pair, side = divmod(person, 2)
    return pair // 2 + side * (pair % 2)


def _ignored(shown: Shown) -> None:
    """Take what is shown, and do nothing with it."""
