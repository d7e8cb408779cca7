"""Sockets that keep to no protocol: whatever is to be written is written, and what comes back is told."""

import asyncio
import contextlib
import json
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from libs.client.client import Client
from libs.contracts.socket import PATH, SUBPROTOCOL, Hello, encode_frame

SECONDS = 15.0
"""How long a gateway may take for one answer."""
_OPCODE_TEXT = 1


@asynccontextmanager
async def raw_socket(
    gateway: str, *, client: Client | None = None, origin: str | None = None, queue: int | None = 16
) -> AsyncIterator[ClientConnection]:
    """Open a socket at a gateway; with a `client` it says hello as that person."""
    headers = {} if origin is None else {"Origin": origin}
    async with unix_connect(
        gateway.removeprefix("unix:"),
        f"ws://localhost{PATH}",
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        additional_headers=headers,
        compression=None,
        max_size=None,
        max_queue=queue,
        close_timeout=2,
    ) as socket:
        if client is not None:
            await socket.send(encode_frame(Hello(token=await client.session.access_token())))
            assert (await answer_of(socket))["op"] == "welcome"
        yield socket


async def answer_of(socket: ClientConnection, op: str | None = None) -> dict[str, Any]:
    """Return the next frame, or the next one with this `op`."""
    async with asyncio.timeout(SECONDS):
        while True:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if op is None or frame["op"] == op:
                return frame


async def end_of(socket: ClientConnection) -> tuple[int | None, list[dict[str, Any]]]:
    """Wait until the socket is closed; return the close code and the frames that came before."""
    frames: list[dict[str, Any]] = []
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(SECONDS):
            while True:
                frames.append(json.loads(await socket.recv()))
    return socket.close_code, frames


def frame_bytes(payload: bytes, first_byte: int = 0x80 | _OPCODE_TEXT) -> bytes:
    """Return a masked frame of a client as it stands on the wire. Source: RFC 6455, section 5.2."""
    mask = os.urandom(4)
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first_byte, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first_byte, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first_byte, 0x80 | 127, size)
    stretched = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload) ^ int.from_bytes(stretched)).to_bytes(size)
    return head + mask + masked


async def write_raw(socket: ClientConnection, data: bytes) -> None:
    """Write bytes past the library's own care; a gateway that has closed already is no error."""
    socket.transport.write(data)
    await asyncio.sleep(0)
