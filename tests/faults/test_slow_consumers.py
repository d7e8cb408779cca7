"""Whoever does not read is cut off, costs bounded memory and misses nothing when he comes back."""

import asyncio
import time

import psutil
import pytest

from libs.client.device import Device
from tests.faults.history import defects_of
from tests.faults.load import PATIENCE_SECONDS, Load, loaded
from tests.faults.raw_sockets import raw_socket
from tests.support.town import Town

pytestmark = pytest.mark.xdist_group("faults")

TEXT = "x" * 16_000
GATEWAY = "gw-1"
BUFFER_BYTES = 1 << 20
"""What may wait for one socket in a gateway (`socket_buffer_bytes`), by default."""
IN_TRANSIT_BYTES = 1 << 20
"""What the kernel's and the server's own buffers may hold beside it."""
BASE_GROWTH_BYTES = 24 << 20
"""What a gateway that works may grow by, whoever reads: caches, pools, the allocator's slack."""


class Sleeper:
    """A device of the SDK whose connection can stop reading, as behind a dead network."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def sleep(self) -> None:
        self._transport.pause_reading()

    def wake(self) -> None:
        self._transport.resume_reading()

    @property
    def _transport(self) -> asyncio.Transport:
        transport = self._device._wire._transport  # type: ignore[union-attr]  # the wire shows it to nobody
        assert isinstance(transport, asyncio.Transport)
        return transport


async def _flood(load: Load, until_bytes: int) -> None:
    """Send so many bytes of text."""
    for _ in range(until_bytes // len(TEXT)):
        await load.send(0, f"{load.town.ids.uuid7()} {TEXT}")


async def _sockets_of(load: Load) -> int:
    """Return how many connections the gateway holds open, as the kernel tells it."""
    address = load.platform.facts["gateways"][GATEWAY].removeprefix("unix:")
    process = psutil.Process(load.platform.pid(GATEWAY))
    connections = await asyncio.to_thread(process.net_connections, "unix")
    return sum(connection.laddr == address for connection in connections)


async def test_a_device_that_stops_reading_is_cut_off_and_resynchronised_exactly(town: Town) -> None:
    gateway = town.platform.facts["gateways"][GATEWAY]
    async with loaded(town, people=2, senders=1, gateways=[gateway]) as load:
        device = load.devices[1]
        await load.send(0, "before")
        sleeper = Sleeper(device)
        sleeper.sleep()
        before = await _sockets_of(load)
        await _flood(load, 2 * (BUFFER_BYTES + IN_TRANSIT_BYTES))
        until = time.monotonic() + PATIENCE_SECONDS
        while await _sockets_of(load) >= before:
            assert time.monotonic() < until, "whoever reads nothing was never cut off"
            await asyncio.sleep(0.05)
        await load.send(0, "while he was cut off")
        shown = len(load.history.shown["person 1"])
        sleeper.wake()
        history = await load.settled()
        assert defects_of(history) == []
        assert shown < len(history.stored)
        assert device.connections == 2
        assert load.devices[0].connections == 1


async def _slow_crowd(town: Town, size: int) -> int:
    """Let many sockets read nothing while much is sent; return by how much the gateway grew, in bytes."""
    gateway = town.platform.facts["gateways"][GATEWAY]
    process = psutil.Process(town.platform.pid(GATEWAY))
    async with loaded(town, people=3, senders=1, gateways=[gateway]) as load:
        await _flood(load, BUFFER_BYTES // 4)  # whatever is made once is made
        before, most = process.memory_info().rss, 0
        sockets = [raw_socket(gateway, client=load.clients[2], queue=1) for _ in range(size)]
        for socket in sockets:
            await socket.__aenter__()
        flooding = asyncio.create_task(_flood(load, 3 * (BUFFER_BYTES + IN_TRANSIT_BYTES)))
        while not flooding.done():
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.05)
        await flooding
        assert defects_of(await load.settled()) == []
        await asyncio.gather(*(socket.__aexit__(None, None, None) for socket in sockets))
    return most - before


async def test_sockets_that_read_nothing_cost_bounded_memory(town: Town) -> None:
    size = 10
    assert await _slow_crowd(town, size) < BASE_GROWTH_BYTES + size * (BUFFER_BYTES + IN_TRANSIT_BYTES)


@pytest.mark.prove
async def test_fifty_sockets_that_read_nothing_cost_bounded_memory(town: Town) -> None:
    size = 50
    assert await _slow_crowd(town, size) < BASE_GROWTH_BYTES + size * (BUFFER_BYTES + IN_TRANSIT_BYTES)
