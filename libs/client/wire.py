"""One WebSocket to a gateway, directly or through the origin, over TCP or a unix socket.

Bytes and frames are moved by the sans-I/O half of `websockets` on a protocol of our own: a frame that
comes is handed on where it was read, without a queue or a task in between (a third less processor time
for each frame than its asyncio half, where a device gets thousands of frames a second).
"""

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SEND_EOF
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from libs.client.errors import ClientError
from libs.contracts.socket import PATH, SUBPROTOCOL

LARGEST_FRAME_BYTES: Final = 64 * 1024 * 1024
"""A page of 500 entries of 64 KiB, and some air: memory stays bounded whatever a gateway sends."""
PING_SECONDS: Final = 20.0
"""After so long without a word the gateway is asked whether it is there."""
SILENT_TURNS: Final = 4
"""A gateway that says nothing for so many times PING_SECONDS is gone; a busy one may take its time."""
OPEN_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 2.0
LOST: Final = "the connection was lost"

OnFrame = Callable[[bytes], None]
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

    def write(self, text: str) -> None:
        """Write a frame, in order; after the cut it goes nowhere."""
        ...

    async def listen(self, take: OnFrame) -> None:
        """Hand every frame to `take` until the wire is cut. Raises Cut, or what `take` raises."""
        ...

    def abort(self) -> None:
        """Drop the connection as a dead battery would: nothing is said, the other end finds out."""
        ...


class WebSocketWire(asyncio.Protocol):
    """A wire over the sans-I/O half of `websockets`."""

    def __init__(self, url: str) -> None:
        """Shake hands for `url` once the connection stands."""
        self._url = url
        self._frames = ClientProtocol(
            parse_uri(url), subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=LARGEST_FRAME_BYTES
        )
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._take: OnFrame | None = None
        self._early: list[bytes] = []
        self._fragments: list[bytes] = []
        self._has_heard = False
        self._silent_turns = 0
        self._watch: asyncio.TimerHandle | None = None

    # What a device asks for.

    async def open(self) -> None:
        """Wait for the end of the handshake. Raises Cut when it is refused."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await asyncio.shield(self._opened)
        except TimeoutError:
            msg = f"no socket at {self._url}: no answer for {OPEN_SECONDS:.0f} seconds"
            raise Cut(None, msg) from None

    def write(self, text: str) -> None:
        """Write a frame, in order; after the cut it goes nowhere."""
        if self._frames.state is OPEN:
            self._frames.send_text(text.encode())
            self._flush()

    async def listen(self, take: OnFrame) -> None:
        """Hand every frame to `take` until the wire is cut. Raises Cut, or what `take` raises."""
        self._take = take
        early, self._early = self._early, []
        try:
            for data in early:
                take(data)
            await asyncio.shield(self._ended)
        finally:
            self._take = _unheard

    def abort(self) -> None:
        """Drop the connection as a dead battery would: nothing is said, the other end finds out."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Say goodbye and wait a moment for the answer."""
        if self._frames.state is OPEN:
            self._frames.send_close(1000)
            self._flush()
        if self._transport is not None and not self._ended.done():
            await asyncio.wait({self._ended}, timeout=CLOSE_SECONDS)
        self.abort()
        if self._ended.done():
            self._ended.exception()  # whoever closes a wire does not care how it ended

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance
        self._frames.send_request(self._frames.connect())
        self._flush()
        self._watch = self._loop.call_later(PING_SECONDS, self._look)

    def data_received(self, data: bytes) -> None:
        """Read what came, and answer pings and closes."""
        self._has_heard = True
        frames = self._frames
        frames.receive_data(data)
        for event in frames.events_received():
            if isinstance(event, Frame):
                self._read(event)
            elif not self._opened.done() and frames.handshake_exc is None:
                self._opened.set_result(None)
        if frames.writes:
            self._flush()
        if frames.handshake_exc is not None:
            self.abort()

    def eof_received(self) -> bool:
        """Let the connection end."""
        self._frames.receive_eof()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits that it is over, and why."""
        self._frames.receive_eof()
        if self._watch is not None:
            self._watch.cancel()
        refusal = self._frames.handshake_exc or error or LOST
        received = self._frames.close_rcvd
        cut = Cut(None, LOST) if received is None else Cut(received.code, received.reason)
        if not self._opened.done():
            self._opened.set_exception(Cut(None, f"no socket at {self._url}: {refusal}"))
            self._opened.exception()
        if not self._ended.done():
            self._ended.set_exception(cut)
            self._ended.exception()  # looked at, for nobody need be listening

    # Between them.

    def _read(self, frame: Frame) -> None:
        """Put a message's fragments together, and hand it on."""
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            if frame.fin:
                self._hand_on(bytes(frame.data))
            else:
                self._fragments = [bytes(frame.data)]
        elif frame.opcode is Opcode.CONT:
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                fragments, self._fragments = self._fragments, []
                self._hand_on(b"".join(fragments))

    def _hand_on(self, data: bytes) -> None:
        if self._take is None:
            self._early.append(data)
        elif not self._ended.done():
            try:
                self._take(data)
            except Exception as failure:  # noqa: BLE001 - it is the listener's, and ends his `listen`
                self._ended.set_exception(failure)
                self.abort()

    def _flush(self) -> None:
        """Write what the protocol has to say."""
        if self._transport is None:
            return
        for data in self._frames.data_to_send():
            if data is not SEND_EOF:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()

    def _look(self) -> None:
        """Ask a silent gateway whether it is there, and give it up in the end."""
        self._silent_turns = 0 if self._has_heard else self._silent_turns + 1
        self._has_heard = False
        if self._silent_turns >= SILENT_TURNS:
            self.abort()
            return
        if self._silent_turns and self._frames.state is OPEN:
            self._frames.send_ping(b"")
            self._flush()
        self._watch = self._loop.call_later(PING_SECONDS, self._look)


def _unheard(data: bytes) -> None:
    """Drop a frame that came after its listener went."""


def dial_of(origin: str, gateways: Sequence[str] = (), ssl_context: ssl.SSLContext | None = None) -> Dial:
    """Return how to open a socket: at `origin`, or straight at each of `gateways` in turn.

    A gateway is `unix:/path`, `host:port` or a URL.
    """
    addresses = itertools.cycle(gateways or (origin,))
    return lambda: _dialled(next(addresses), ssl_context)


def socket_url_of(address: str) -> str:
    """Return the socket's URL for an origin (`https://host`), a URL or `host:port`."""
    parts = urlsplit(address if "://" in address else f"http://{address}")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://{parts.netloc}{PATH}"


@asynccontextmanager
async def _dialled(address: str, ssl_context: ssl.SSLContext | None) -> AsyncIterator[Wire]:
    """Open a socket and close it at the end. Raises Cut when it cannot be opened."""
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            wire = await _connected(address, ssl_context)
    except (OSError, TimeoutError, WebSocketException) as defect:
        msg = f"no socket at {address}: {defect}"
        raise Cut(None, msg) from defect
    try:
        await wire.open()
        yield wire
    finally:
        await wire.close()


async def _connected(address: str, ssl_context: ssl.SSLContext | None) -> WebSocketWire:
    """Connect to an address; the handshake is begun."""
    loop = asyncio.get_running_loop()
    if address.startswith("unix:"):
        _, wire = await loop.create_unix_connection(
            lambda: WebSocketWire(f"ws://localhost{PATH}"), address.removeprefix("unix:")
        )
        return wire
    url = socket_url_of(address)
    place = parse_uri(url)
    sealed: dict[str, Any] = {}
    if place.secure:
        sealed = {"ssl": ssl_context or ssl.create_default_context(), "server_hostname": place.host}
    _, wire = await loop.create_connection(lambda: WebSocketWire(url), place.host, place.port, **sealed)
    return wire
