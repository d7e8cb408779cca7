"""One WebSocket to a gateway, directly or through the origin, over TCP or a unix socket."""

import itertools
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from libs.client.errors import ClientError
from libs.contracts.socket import PATH, SUBPROTOCOL

LARGEST_FRAME_BYTES: Final = 64 * 1024 * 1024
"""A page of 500 entries of 64 KiB, and some air: memory stays bounded whatever a gateway sends."""
PING_SECONDS: Final = 20.0
PONG_SECONDS: Final = 60.0
"""A gateway that is silent for so long is gone; a busy one may take its time."""
OPEN_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 2.0
QUEUED_FRAMES: Final = (64, 16)
"""Frames that may wait for the application before reading stops, and at which it goes on."""

Dial = Callable[[], AbstractAsyncContextManager["Wire"]]
"""Opens a wire; raises Cut when there is nobody at the other end."""


class Cut(ClientError):
    """The socket is gone; `code` is the close code, None when there was none."""

    def __init__(self, code: int | None, reason: str) -> None:
        """Carry the close `code` and the `reason` that was given."""
        super().__init__(reason or f"the socket was closed with code {code}")
        self.code = code


class Wire(Protocol):
    """An open socket that carries frames as text."""

    async def send(self, text: str) -> None:
        """Write a frame; waits while the other end is slow. Raises Cut."""
        ...

    async def receive(self) -> bytes:
        """Return the next frame. Raises Cut."""
        ...

    def abort(self) -> None:
        """Drop the connection as a dead battery would: nothing is said, the other end finds out."""
        ...


class WebSocketWire:
    """A wire over the `websockets` library."""

    def __init__(self, connection: ClientConnection) -> None:
        """Carry frames over `connection`."""
        self._connection = connection

    async def send(self, text: str) -> None:
        """Write a frame; waits while the other end is slow. Raises Cut."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as closed:
            raise _cut_of(closed) from None

    async def receive(self) -> bytes:
        """Return the next frame. Raises Cut."""
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as closed:
            raise _cut_of(closed) from None

    def abort(self) -> None:
        """Drop the connection as a dead battery would: nothing is said, the other end finds out."""
        self._connection.transport.abort()


def dial_of(origin: str, gateways: Sequence[str] = (), ssl_context: ssl.SSLContext | None = None) -> Dial:
    """Return how to open a socket: at `origin`, or straight at each of `gateways` in turn.

    A gateway is `unix:/path`, `host:port` or a URL.
    """
    addresses = itertools.cycle(gateways or (origin,))
    return lambda: _opened(*_place_of(next(addresses), ssl_context))


def _place_of(address: str, ssl_context: ssl.SSLContext | None) -> tuple[str, dict[str, Any]]:
    """Return the URL of an address, and what else `connect` needs to know to get there."""
    if address.startswith("unix:"):
        return f"ws://localhost{PATH}", {"unix": True, "path": address.removeprefix("unix:")}
    url = socket_url_of(address)
    return url, {"ssl": ssl_context} if ssl_context is not None and url.startswith("wss:") else {}


def socket_url_of(address: str) -> str:
    """Return the socket's URL for an origin (`https://host`), a URL or `host:port`."""
    parts = urlsplit(address if "://" in address else f"http://{address}")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://{parts.netloc}{PATH}"


@asynccontextmanager
async def _opened(url: str, place: Mapping[str, Any]) -> AsyncIterator[Wire]:
    """Open a socket and close it at the end; `place` says where beside the URL. Raises Cut if it cannot."""
    try:
        connection = await connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,  # deflate costs more processor time than a LAN costs for the bytes
            proxy=None,
            max_size=LARGEST_FRAME_BYTES,
            max_queue=QUEUED_FRAMES,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            **place,
        )
    except (OSError, TimeoutError, WebSocketException) as defect:
        msg = f"no socket at {url}: {defect}"
        raise Cut(None, msg) from defect
    try:
        yield WebSocketWire(connection)
    finally:
        await connection.close()


def _cut_of(closed: ConnectionClosed) -> Cut:
    received = closed.rcvd
    return Cut(received.code, received.reason) if received else Cut(None, "the connection was lost")
