"""One open socket: what is pushed leaves in order, and never more waits than may."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from starlette.websockets import WebSocket

from libs.authn.actor import Actor
from libs.contracts.socket import CloseCode
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId
from services.messaging.edge.socket import Socket
from tests.unit.messaging.drafts import NOON


@dataclass
class Peer:
    """The other end of a socket: it reads while it is willing."""

    willing: asyncio.Event = field(default_factory=asyncio.Event)
    read: list[str] = field(default_factory=list)

    async def send(self, message: dict[str, Any]) -> None:
        await self.willing.wait()
        self.read.append(message["text"])


def _socket(peer: Peer, buffer_bytes: int = 100) -> Socket:
    actor = Actor(
        tenant=TenantId(uuid4()),
        principal=PrincipalId(uuid4()),
        session=SessionId(uuid4()),
        device=DeviceId(uuid4()),
        roles=frozenset({"employee"}),
        expires_at=NOON,
    )
    return Socket(cast("WebSocket", peer), actor, 500, buffer_bytes)


async def test_frames_leave_in_the_order_in_which_they_were_pushed() -> None:
    peer = Peer()
    peer.willing.set()
    socket = _socket(peer)
    pumping = asyncio.create_task(socket.pump())
    for number in range(20):
        socket.push(str(number))
    await socket.drained()
    assert peer.read == [str(number) for number in range(20)]
    pumping.cancel()


async def test_a_peer_that_does_not_read_is_closed_to_be_resynchronised() -> None:
    peer = Peer()
    socket = _socket(peer, buffer_bytes=100)
    pumping = asyncio.create_task(socket.pump())
    for _ in range(50):
        socket.push("ten bytes!")
        await asyncio.sleep(0)
    assert await socket.ended() is CloseCode.RESYNC
    await socket.drained()  # whoever waits to send more is let go
    pumping.cancel()


async def test_a_single_frame_larger_than_the_buffer_still_leaves() -> None:
    peer = Peer()
    peer.willing.set()
    socket = _socket(peer, buffer_bytes=10)
    pumping = asyncio.create_task(socket.pump())
    socket.push("x" * 1000)
    await socket.drained()
    assert peer.read == ["x" * 1000]
    pumping.cancel()


async def test_nothing_leaves_after_the_close_and_the_first_code_counts() -> None:
    peer = Peer()
    socket = _socket(peer)
    socket.close(CloseCode.REVOKED)
    socket.close(CloseCode.RESYNC)
    socket.push("too late")
    assert await socket.ended() is CloseCode.REVOKED
    assert peer.read == []
