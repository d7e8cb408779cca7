"""The wire over real sockets: a WebSocket server on TCP and on a unix socket, and what closes it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.typing import Subprotocol
from websockets.utils import accept_key

from libs.client import wire as wires
from libs.client.wire import Cut, Wire, dial_of
from libs.contracts.socket import PATH, SUBPROTOCOL

Handle = Callable[[ServerConnection], Awaitable[None]]


class Ear:
    """Listens to a wire, and gives what comes one by one."""

    def __init__(self, wire: Wire) -> None:
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._listening = asyncio.create_task(wire.listen(self._heard.put_nowait))

    async def hears(self) -> bytes:
        """Return the next frame. Raises what ended the wire."""
        getting = asyncio.create_task(self._heard.get())
        await asyncio.wait({getting, self._listening}, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        if getting.done():
            return getting.result()
        getting.cancel()
        self._listening.result()
        pytest.fail("the wire ended without saying why")


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
        wire.write("grüß dich")
        assert await Ear(wire).hears() == "grüß dich".encode()
    assert seen == [(SUBPROTOCOL, PATH)]


async def test_a_gateway_is_reached_on_its_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "gw-1"
    async with (
        unix_serve(echo, str(path), subprotocols=[Subprotocol(SUBPROTOCOL)]),
        dial_of("http://unused.invalid", [f"unix:{path}"])() as wire,
    ):
        wire.write("here")
        assert await Ear(wire).hears() == b"here"


async def test_gateways_are_dialled_in_turn() -> None:
    async def name(connection: ServerConnection) -> None:
        await connection.send(str(connection.local_address[1]))

    async with gateway(name) as first, gateway(name) as second:
        dial = dial_of("http://unused.invalid", [first, second])
        answers = []
        for _ in range(3):
            async with dial() as wire:
                answers.append((await Ear(wire).hears()).decode())
    ports = [address.rpartition(":")[2] for address in (first, second)]
    assert answers == [ports[0], ports[1], ports[0]]


async def test_the_close_code_of_the_other_end_is_told() -> None:
    async def revoke(connection: ServerConnection) -> None:
        await connection.close(4003, "revoked")

    async with gateway(revoke) as address, dial_of(f"http://{address}")() as wire:
        with pytest.raises(Cut, match="revoked") as cut:
            await Ear(wire).hears()
        assert cut.value.code == 4003
        wire.write("too late: it goes nowhere")


async def test_a_connection_that_dies_is_a_cut_without_a_code() -> None:
    async def die(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with gateway(die) as address, dial_of(f"http://{address}")() as wire:
        with pytest.raises(Cut) as cut:
            await Ear(wire).hears()
        assert cut.value.code is None


async def test_an_abort_says_nothing_and_is_a_cut_at_both_ends() -> None:
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def listen(connection: ServerConnection) -> None:
        await connection.wait_closed()
        ended.set_result(connection.close_code)

    async with gateway(listen) as address, dial_of(f"http://{address}")() as wire:
        wire.abort()
        with pytest.raises(Cut):
            await Ear(wire).hears()
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


async def test_frames_that_come_before_anybody_listens_are_kept() -> None:
    async def greet(connection: ServerConnection) -> None:
        await connection.send("one")
        await connection.send("two")
        await echo(connection)

    async with gateway(greet) as address, dial_of(f"http://{address}")() as wire:
        await asyncio.sleep(0.1)
        ear = Ear(wire)
        assert [await ear.hears(), await ear.hears()] == [b"one", b"two"]


async def test_a_message_in_fragments_is_put_together() -> None:
    async def piecemeal(connection: ServerConnection) -> None:
        await connection.send(["first ", "second ", "third"])
        await echo(connection)

    async with gateway(piecemeal) as address, dial_of(f"http://{address}")() as wire:
        assert await Ear(wire).hears() == b"first second third"


async def test_a_large_frame_arrives_whole() -> None:
    async with gateway(echo) as address, dial_of(f"http://{address}")() as wire:
        text = "ü" * 300_000
        wire.write(text)
        assert await Ear(wire).hears() == text.encode()


async def test_a_listener_that_fails_ends_the_wire_with_its_own_error() -> None:
    def fail(data: bytes) -> None:
        raise ZeroDivisionError(data)

    async with gateway(echo) as address, dial_of(f"http://{address}")() as wire:
        wire.write("boom")
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(wire.listen(fail), 5)


async def test_a_ping_is_answered() -> None:
    answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def ask(connection: ServerConnection) -> None:
        answered.set_result(await (await connection.ping()))

    async with gateway(ask) as address, dial_of(f"http://{address}")():
        assert await asyncio.wait_for(answered, 5) >= 0


async def test_a_gateway_that_falls_silent_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(wires, "PING_SECONDS", 0.05)

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        accept = accept_key(key.split(b":")[1].strip().decode())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
        )
        while await reader.read(1000):
            pass
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with dial_of(f"http://127.0.0.1:{port}")() as wire:
        with pytest.raises(Cut, match="lost"):
            await asyncio.wait_for(wire.listen(lambda _: None), 5)
    server.close()
    await server.wait_closed()


async def test_what_is_no_websocket_is_a_cut() -> None:
    async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read(1000)
        writer.close()

    server = await asyncio.start_server(talk_nonsense, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Cut, match="no socket at"):
        async with dial_of(f"http://127.0.0.1:{port}")():
            pytest.fail("that was no handshake")
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "scene",
    [
        test_frames_go_both_ways_under_the_subprotocol_and_path,
        test_the_close_code_of_the_other_end_is_told,
        test_a_connection_that_dies_is_a_cut_without_a_code,
        test_an_abort_says_nothing_and_is_a_cut_at_both_ends,
        test_a_server_that_refuses_the_handshake_is_a_cut,
        test_a_large_frame_arrives_whole,
        test_a_listener_that_fails_ends_the_wire_with_its_own_error,
    ],
)
def test_uvloop_carries_it_as_well(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())
