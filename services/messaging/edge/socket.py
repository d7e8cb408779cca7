"""One open WebSocket: what is pushed to it, in order, and never more than it may hold."""

import asyncio
from collections import deque

from starlette.websockets import WebSocket, WebSocketDisconnect

from libs.authn.actor import Actor
from libs.contracts.socket import CloseCode
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId


class Socket:
    """A socket of a device, after its hello.

    Frames wait in a queue of bounded size; a device that does not read fast enough is closed and comes
    back by its cursors, so that it costs bounded memory and misses nothing.
    """

    __slots__ = (
        "__weakref__",
        "_actor",
        "_buffer_bytes",
        "_closing",
        "_ended",
        "_queue",
        "_room",
        "_waiting_bytes",
        "_wake",
        "_websocket",
        "limit",
    )

    def __init__(self, websocket: WebSocket, actor: Actor, limit: int, buffer_bytes: int) -> None:
        """Write to `websocket` for `actor`; `limit` entries a page; `buffer_bytes` may wait."""
        self._websocket = websocket
        self._actor = actor
        self.limit = limit
        self._buffer_bytes = buffer_bytes
        self._queue: deque[str] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing: CloseCode | None = None
        self._ended = asyncio.Event()

    @property
    def actor(self) -> Actor:
        """Who is at the other end."""
        return self._actor

    @property
    def tenant(self) -> TenantId:
        """The tenant of the socket's session."""
        return self._actor.tenant

    @property
    def principal(self) -> PrincipalId:
        """Who listens."""
        return self._actor.principal

    @property
    def session(self) -> SessionId:
        """The session that opened the socket."""
        return self._actor.session

    @property
    def device(self) -> DeviceId:
        """The device at the other end."""
        return self._actor.device

    def push(self, frame: str) -> None:
        """Send a frame as soon as the ones before it have left."""
        if self._closing is not None:
            return
        if self._queue and self._waiting_bytes + len(frame) > self._buffer_bytes:
            self.close(CloseCode.RESYNC)
            return
        self._queue.append(frame)
        self._waiting_bytes += len(frame)
        self._room.clear()
        self._wake.set()

    def close(self, code: CloseCode) -> None:
        """End the socket with this code; what waits is dropped, the device asks for it again."""
        if self._closing is None:
            self._closing = code
            self._queue.clear()
            self._waiting_bytes = 0
            self._room.set()
            self._ended.set()

    async def drained(self) -> None:
        """Wait until everything that was pushed has left."""
        await self._room.wait()

    async def ended(self) -> CloseCode:
        """Wait until the socket is to be closed; return with which code."""
        await self._ended.wait()
        return self._closing or CloseCode.NORMAL

    async def pump(self) -> None:
        """Write what is pushed, until cancelled or until the peer has gone."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                frame = self._queue.popleft()
                self._waiting_bytes -= len(frame)
                await self._write(frame)
            self._room.set()

    async def _write(self, frame: str) -> None:
        """Write one frame. Raises WebSocketDisconnect, also where the server has ended the socket already."""
        try:
            await self._websocket.send({"type": "websocket.send", "text": frame})
        except RuntimeError:  # ASGI's word for a message after the close that a broken frame brought about
            raise WebSocketDisconnect(CloseCode.MALFORMED) from None
