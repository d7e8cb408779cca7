"""The wire over real sockets: a WebSocket server on TCP and on a unix socket, and what closes it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.typing import Subprotocol

from libs.client.wire import Cut, dial_of
from libs.contracts.socket import PATH, SUBPROTOCOL

Handle = Callable[[ServerConnection], Awaitable[None]]


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def gateway(handle: Handle) -> AsyncIterator[str]:
    """Serve on a free port of the loopback interface and give the address."""
    async with serve(handle, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
        host, port = next(iter(server.sockets)).getsockname()
        yield f"{host}:{port}"


async def test_frames_go_both_ways_under_the_subprotocol_and_path() -> None:
    seen: list[tuple[str | None, str]] = []

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append((connection.subprotocol, connection.request.path))
        await echo(connection)

    async with gateway(handle) as address, dial_of(f"http://{address}")() as wire:
        await wire.send("grüß dich")
        assert await wire.receive() == "grüß dich".encode()
    assert seen == [(SUBPROTOCOL, PATH)]


async def test_a_gateway_is_reached_on_its_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "gw-1"
    async with (
        unix_serve(echo, str(path), subprotocols=[Subprotocol(SUBPROTOCOL)]),
        dial_of("http://unused.invalid", [f"unix:{path}"])() as wire,
    ):
        await wire.send("here")
        assert await wire.receive() == b"here"


async def test_gateways_are_dialled_in_turn() -> None:
    async def name(connection: ServerConnection) -> None:
        await connection.send(str(connection.local_address[1]))

    async with gateway(name) as first, gateway(name) as second:
        dial = dial_of("http://unused.invalid", [first, second])
        answers = []
        for _ in range(3):
            async with dial() as wire:
                answers.append((await wire.receive()).decode())
    ports = [address.rpartition(":")[2] for address in (first, second)]
    assert answers == [ports[0], ports[1], ports[0]]


async def test_the_close_code_of_the_other_end_is_told() -> None:
    async def revoke(connection: ServerConnection) -> None:
        await connection.close(4003, "revoked")

    async with gateway(revoke) as address, dial_of(f"http://{address}")() as wire:
        with pytest.raises(Cut, match="revoked") as cut:
            await wire.receive()
        assert cut.value.code == 4003
        with pytest.raises(Cut):
            await wire.send("too late")


async def test_a_connection_that_dies_is_a_cut_without_a_code() -> None:
    async def die(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with gateway(die) as address, dial_of(f"http://{address}")() as wire:
        with pytest.raises(Cut) as cut:
            await wire.receive()
        assert cut.value.code is None


async def test_an_abort_says_nothing_and_is_a_cut_at_both_ends() -> None:
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def listen(connection: ServerConnection) -> None:
        await connection.wait_closed()
        ended.set_result(connection.close_code)

    async with gateway(listen) as address, dial_of(f"http://{address}")() as wire:
        wire.abort()
        with pytest.raises(Cut):
            await wire.receive()
        assert await asyncio.wait_for(ended, 5) == 1006


async def test_nobody_at_the_address_is_a_cut() -> None:
    async with gateway(echo) as address:
        pass
    with pytest.raises(Cut, match="no socket at"):
        async with dial_of(f"http://{address}")():
            pytest.fail("nobody listens there")


async def test_a_server_that_refuses_the_handshake_is_a_cut() -> None:
    def refuse(connection: ServerConnection, _: object):
        return connection.respond(503, "try later")

    async with serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
        host, port = next(iter(server.sockets)).getsockname()
        with pytest.raises(Cut, match="503"):
            async with dial_of(f"http://{host}:{port}")():
                pytest.fail("it was refused")
