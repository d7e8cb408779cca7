"""Frames that are malformed, oversized, binary or lies end their own socket and hurt nobody else."""

import asyncio
import json
import random
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from libs.client.client import Client
from libs.contracts.socket import Send, Text, encode_frame
from tests.faults.history import defects_of
from tests.faults.load import Load, loaded
from tests.faults.raw_sockets import answer_of, end_of, frame_bytes, raw_socket, write_raw
from tests.support.town import Town

pytestmark = pytest.mark.xdist_group("faults")

SEED = 20260101
TRUNCATED_UTF8 = '{"op":"ping","ref":"€"}'.encode()[:-3]
DEEP = '{"op":"send","id":' + "[" * 10_000
OVERSIZED = json.dumps({"op": "ping", "ref": "x" * 70_000})
BOMB = zlib.compressobj(9, zlib.DEFLATED, -15)
BOMB_BYTES = BOMB.compress(b"[" * (8 << 20)) + BOMB.flush(zlib.Z_SYNC_FLUSH)

Write = Callable[[ClientConnection], Awaitable[None]]


def _text(text: str) -> Write:
    return lambda socket: socket.send(text)


def _bytes(data: bytes) -> Write:
    return lambda socket: write_raw(socket, data)


LIES: dict[str, Write] = {
    "no JSON": _text("hello?"),
    "nothing": _text(""),
    "another type": _text("[1, 2, 3]"),
    "no op": _text("{}"),
    "an unknown op": _text('{"op":"destroy"}'),
    "an answer as a question": _text('{"op":"ack","id":1}'),
    "a wrong type within": _text('{"op":"send","id":7,"conversation":true,"body":[]}'),
    "no id": _text('{"op":"send","body":{"text":"x"}}'),
    "a negative cursor": _text(f'{{"op":"sync","ref":"r","cursors":{{"{UUID(int=1)}":-1}}}}'),
    "a number beyond every type": _text(f'{{"op":"mark","conversation":"{UUID(int=1)}","read":1e999}}'),
    "half a character": _text('{"op":"ping","ref":"\\ud800"}'),
    "deep JSON": _text(DEEP),
}
"""Well-formed WebSocket messages that are no frames of the protocol."""

BREACHES: dict[str, tuple[Write, int]] = {
    "a binary message": (lambda socket: socket.send(b"\x00\x01\x02"), 1003),
    "truncated UTF-8": (_bytes(frame_bytes(TRUNCATED_UTF8[:-1])), 1007),
    "more than a frame may hold": (_text(OVERSIZED), 1009),
    "a frame that claims 2^62 bytes": (_bytes(b"\x81\xff" + (1 << 62).to_bytes(8) + b"mask"), 1009),
    "an unknown opcode": (_bytes(frame_bytes(b"x", 0x83)), 1002),
    "a reserved bit, with a compression bomb": (_bytes(frame_bytes(BOMB_BYTES[:60_000], 0xC1)), 1002),
    "an unmasked frame": (_bytes(b"\x81\x02{}"), 1002),
    "a continuation of nothing": (_bytes(frame_bytes(b"x", 0x80)), 1002),
    "a ping that is too long": (_bytes(frame_bytes(b"x" * 200, 0x89)), 1002),
}
"""What breaks WebSocket itself, with the close code that says so."""


@pytest.fixture
async def load(town: Town) -> AsyncIterator[Load]:
    async with loaded(town, people=3, senders=2) as load:
        yield load


async def _is_told_then_shown_out(load: Load, name: str) -> str | None:
    """Write one lie twice; return what was not as it should be."""
    async with raw_socket(load.town.gateways[0], client=load.clients[2]) as socket:
        await LIES[name](socket)
        refused = await answer_of(socket, "error")
        await socket.send('{"op":"ping","ref":"still here"}')
        pong = await answer_of(socket, "pong")
        await LIES[name](socket)
        code, frames = await end_of(socket)
    told = (
        refused["problem"]["status"],
        pong.get("ref"),
        code,
        [frame["op"] for frame in frames if frame["op"] != "page"],
    )
    return None if told == (400, "still here", 1007, ["error"]) else f"{name}: {told}"


async def test_a_frame_that_is_none_gets_an_error_and_the_second_one_ends_the_socket(load: Load) -> None:
    assert [told for name in LIES if (told := await _is_told_then_shown_out(load, name))] == []
    await load.send(0)
    assert defects_of(await load.settled()) == []


@pytest.mark.parametrize("greeted", [True, False], ids=["after the hello", "before the hello"])
async def test_a_breach_of_websocket_ends_the_socket_with_its_code(load: Load, *, greeted: bool) -> None:
    wrong: dict[str, int | None] = {}
    for name, (write, code) in BREACHES.items():
        async with raw_socket(load.town.gateways[0], client=load.clients[2] if greeted else None) as socket:
            await write(socket)
            found, _ = await end_of(socket)
            if found != code:
                wrong[name] = found
    assert wrong == {}
    await load.send(0)


async def test_whoever_does_not_begin_with_a_hello_is_not_let_in(load: Load) -> None:
    async def end(name: str) -> tuple[int | None, list[dict[str, Any]]]:
        async with raw_socket(load.town.gateways[0]) as socket:
            await LIES[name](socket)
            return await end_of(socket)

    assert {name: await end(name) for name in LIES} == dict.fromkeys(LIES, (4001, []))


async def test_a_send_before_the_hello_is_not_let_in(load: Load) -> None:
    async with raw_socket(load.town.gateways[0]) as socket:
        frame = Send(id=load.town.ids.uuid7(), conversation=load.conversation, body=Text(text="hello"))
        await socket.send(encode_frame(frame))
        assert await end_of(socket) == (4001, [])


@pytest.mark.prove
async def test_whoever_says_nothing_is_not_waited_for(load: Load) -> None:
    async with raw_socket(load.town.gateways[0]) as socket:
        assert await end_of(socket) == (4001, [])


async def _attack(gateway: str, client: Client, rounds: int, seed: int) -> list[int | None]:
    """Open one hostile socket after the other; return the close codes."""
    chance = random.Random(seed)
    writes = [*LIES.values(), *(write for write, _ in BREACHES.values())]
    codes: list[int | None] = []
    for _ in range(rounds):
        try:
            async with raw_socket(gateway, client=client if chance.random() < 0.5 else None) as socket:
                for write in chance.choices(writes, k=4):
                    await write(socket)
                codes.append((await end_of(socket))[0])
        except ConnectionClosed as closed:  # while something was still being written
            codes.append(closed.rcvd.code if closed.rcvd else None)
    return codes


async def _flood(load: Load, sockets: int, rounds: int) -> None:
    """Attack both gateways from many sockets while others talk; nobody else may notice."""
    platform = load.platform
    before = [platform.pid(name) for name in ("gw-1", "gw-2")]
    attacks = [
        _attack(load.town.gateways[number % 2], load.clients[2], rounds, SEED + number)
        for number in range(sockets)
    ]
    async with load.talking():
        codes = [code for found in await asyncio.gather(*attacks) for code in found]
        await load.acknowledges()
    assert set(codes) <= {1002, 1003, 1006, 1007, 1009, 4001, None}  # 1006 and None: cut, no code came
    assert {1002, 1007, 1009, 4001} <= set(codes)  # binary frames are told apart above
    assert defects_of(await load.settled()) == []
    assert [platform.pid(name) for name in ("gw-1", "gw-2")] == before
    assert [device.connections for device in load.devices] == [1] * len(load.devices)


async def test_a_flood_of_hostile_frames_hurts_nobody_else(load: Load) -> None:
    await _flood(load, sockets=10, rounds=8)


@pytest.mark.prove
async def test_ten_thousand_hostile_frames_from_fifty_sockets_hurt_nobody_else(load: Load) -> None:
    await _flood(load, sockets=50, rounds=50)


FOREIGN = [
    "https://evil.example",
    "null",
    "http://localhost.evil.example",
    "http://localhost:1",
    "file://",
]


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_page_of_a_foreign_origin_opens_no_socket(load: Load, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with raw_socket(load.town.gateways[0], client=load.clients[0], origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_a_page_of_our_own_origin_opens_a_socket(load: Load) -> None:
    async with raw_socket(load.town.gateways[0], client=load.clients[0], origin="http://localhost") as socket:
        assert socket.subprotocol == "muniment.v1"
