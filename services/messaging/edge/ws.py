"""The WebSocket door: frames of `muniment.v1` in, use cases, frames out."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from libs.authn.errors import Unauthenticated
from libs.contracts.problems import Problem
from libs.contracts.socket import (
    HELLO_REF,
    HELLO_SECONDS,
    SUBPROTOCOL,
    Ack,
    Body,
    ClientFrame,
    CloseCode,
    Error,
    Hello,
    MalformedFrame,
    Mark,
    Page,
    Ping,
    Pong,
    Retract,
    Revise,
    Send,
    Sync,
    Utterance,
    Welcome,
    encode_frame,
    read_client_frame,
)
from libs.host.auth import ActorVerifier, RevocationCheck
from libs.host.problems import INTERNAL, MALFORMED, document, merged, problem_of
from libs.kernel.errors import DomainError
from libs.kernel.ids import ConversationId
from libs.telemetry.logs import get_logger
from services.messaging.domain.log import Appended, Repeated
from services.messaging.edge.problems import PROBLEMS
from services.messaging.edge.socket import Socket
from services.messaging.usecases.amend import AmendMessage
from services.messaging.usecases.deliver import PAGE_ENTRIES, Deliver
from services.messaging.usecases.mark import Mark as MarkConversation
from services.messaging.usecases.open_socket import OpenSocket
from services.messaging.usecases.read import ReadConversations
from services.messaging.usecases.send import SendMessage, acknowledged

MALFORMED_FRAMES = 2
CLOSE_SECONDS = 1.0
_PROBLEMS = merged(PROBLEMS)


class Refusal(Exception):
    """The socket is to be closed with this code."""

    def __init__(self, code: CloseCode) -> None:
        """Close with `code`."""
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class SocketEdge:
    """Everything that a socket can ask of this gateway."""

    gateway: str
    verifier: ActorVerifier
    revocations: RevocationCheck
    send: SendMessage
    amend: AmendMessage
    mark: MarkConversation
    read: ReadConversations
    open_socket: OpenSocket
    deliver: Deliver
    origins: tuple[str, ...]
    buffer_bytes: int
    heartbeat_seconds: int

    def routes(self, prefix: str) -> APIRouter:
        """Return the route of the socket."""
        router = APIRouter(prefix=prefix)
        router.add_api_websocket_route("/ws", self.serve)
        return router

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one socket from its handshake to its end."""
        if not self._is_own_page(websocket):
            await websocket.close()  # before accept: 403
            return
        wanted = websocket.scope.get("subprotocols", [])
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in wanted else None)
        try:
            hello, socket = await self._greeted(websocket)
        except Refusal as refusal:
            await _close(websocket, refusal.code)
        except WebSocketDisconnect:
            return
        else:
            await self._converse(websocket, hello, socket)

    def _is_own_page(self, websocket: WebSocket) -> bool:
        """Tell whether the page that opens the socket is ours; programs send no Origin."""
        origin = websocket.headers.get("origin")
        return (
            origin is None
            or origin in self.origins
            or urlsplit(origin).netloc == websocket.headers.get("host")
        )

    async def _greeted(self, websocket: WebSocket) -> tuple[Hello, Socket]:
        """Return the hello and the socket of whom it names. Raises Refusal."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                frame = read_client_frame(await _text_of(websocket))
        except (TimeoutError, MalformedFrame):
            raise Refusal(CloseCode.UNAUTHENTICATED) from None
        if not isinstance(frame, Hello):
            raise Refusal(CloseCode.UNAUTHENTICATED)
        try:
            actor = await self.verifier.verify(frame.token)
            self.revocations.check(actor)
        except Unauthenticated:
            raise Refusal(CloseCode.UNAUTHENTICATED) from None
        except DomainError:
            raise Refusal(CloseCode.TRY_LATER) from None
        return frame, Socket(websocket, actor, _limit_of(frame), self.buffer_bytes)

    async def _converse(self, websocket: WebSocket, hello: Hello, socket: Socket) -> None:
        """Read, write and catch up side by side, until one of them ends the socket."""
        welcome = Welcome(
            gateway=self.gateway,
            principal=socket.principal,
            session=socket.session,
            heartbeat_seconds=self.heartbeat_seconds,
            resume=True,
        )
        socket.push(encode_frame(welcome))
        tasks = [
            asyncio.create_task(_until_end(work, socket))
            for work in (socket.pump(), self._read_frames(websocket, socket), self._resume(hello, socket))
        ]
        try:
            code = await socket.ended()
        finally:
            for task in tasks:
                task.cancel()
            self.deliver.closed(socket)
        await _close(websocket, code)

    async def _resume(self, hello: Hello, socket: Socket) -> None:
        """Send what was missed, then go live; a gateway that cannot do so asks to try later."""
        try:
            await self.open_socket(socket.actor, socket, hello.cursors or {}, HELLO_REF)
        except DomainError:
            socket.close(CloseCode.TRY_LATER)

    async def _read_frames(self, websocket: WebSocket, socket: Socket) -> None:
        """Take frames one after the other. Raises Refusal, and WebSocketDisconnect at the end."""
        malformed = 0
        while True:
            text = await _text_of(websocket)
            try:
                await self._take(read_client_frame(text), socket)
            except MalformedFrame as defect:
                malformed += 1
                _refuse(socket, document(MALFORMED, detail=str(defect)), None)
                await socket.drained()
                if malformed >= MALFORMED_FRAMES:
                    raise Refusal(CloseCode.MALFORMED) from None

    async def _take(self, frame: ClientFrame, socket: Socket) -> None:
        """Do what one frame asks."""
        match frame:
            case Send():
                await self.receive_send(frame, socket)
            case Revise() | Retract():
                await self._receive_amendment(frame, socket)
            case Mark():
                self._receive_mark(frame, socket)
            case Sync():
                await self._receive_sync(frame, socket)
            case Ping(ref=ref):
                socket.push(encode_frame(Pong(ref=ref)))
            case Hello():
                _refuse(socket, document(MALFORMED, detail="hello is the first frame and no other"), None)

    async def receive_send(self, frame: Send, socket: Socket) -> None:
        """Queue a message; its ack or its refusal follows when it is decided. Sends stay in order."""
        try:
            self.revocations.check(socket.actor)
            done = await self.send(
                socket.actor,
                ConversationId(frame.conversation),
                frame.id,
                Body(text=frame.body.text),
                socket,
            )
        except DomainError as error:
            _refuse(socket, problem_of(error, _PROBLEMS), str(frame.id))
            return
        done.add_done_callback(lambda finished: _answer(frame, socket, finished))

    async def _receive_amendment(self, frame: Revise | Retract, socket: Socket) -> None:
        """Queue a revision or a retraction; its ack or its refusal follows when it is decided."""
        conversation = ConversationId(frame.conversation)
        try:
            self.revocations.check(socket.actor)
            match frame:
                case Revise(body=body):
                    done = await self.amend.revise(
                        socket.actor, conversation, frame.seq, frame.id, Body(text=body.text), socket
                    )
                case Retract(reason=reason):
                    done = await self.amend.retract(
                        socket.actor, conversation, frame.seq, frame.id, reason, socket
                    )
        except DomainError as error:
            _refuse(socket, problem_of(error, _PROBLEMS), str(frame.id))
            return
        done.add_done_callback(lambda finished: _answer(frame, socket, finished))

    def _receive_mark(self, frame: Mark, socket: Socket) -> None:
        conversation = ConversationId(frame.conversation)
        try:
            self.mark(socket.actor, socket, conversation, frame.delivered or 0, frame.read or 0)
        except DomainError as error:
            _refuse(socket, problem_of(error, _PROBLEMS), str(frame.conversation))

    async def _receive_sync(self, frame: Sync, socket: Socket) -> None:
        try:
            page = await self.read.sync(socket.actor, frame.cursors, _limit_of(frame))
        except DomainError as error:
            _refuse(socket, problem_of(error, _PROBLEMS), frame.ref)
            return
        socket.push(
            encode_frame(Page(ref=frame.ref, entries=page.entries, more=page.more, cursors=page.cursors))
        )
        await socket.drained()


def _answer(frame: Utterance, socket: Socket, finished: "asyncio.Future[Appended | Repeated]") -> None:
    """Tell a sender what became of his message, or of what he amended."""
    if finished.cancelled():
        return
    match finished.exception():
        case None:
            told = acknowledged(finished.result())
            ack = Ack(
                id=frame.id,
                conversation=frame.conversation,
                seq=told.seq,
                message=told.message,
                committed_at=told.committed_at,
            )
            socket.push(encode_frame(ack))
        case DomainError() as error:
            _refuse(socket, problem_of(error, _PROBLEMS), str(frame.id))
        case error:
            get_logger().error("a send failed", exc_info=error)
            _refuse(socket, document(INTERNAL), str(frame.id))


def _limit_of(frame: Hello | Sync) -> int:
    """Return how many entries the device wants in a page, as far as it may have them."""
    return min(frame.limit or PAGE_ENTRIES, PAGE_ENTRIES)


def _refuse(socket: Socket, problem: Problem, ref: str | None) -> None:
    socket.push(encode_frame(Error(problem=problem, ref=ref)))


async def _close(websocket: WebSocket, code: CloseCode) -> None:
    """Say goodbye; a peer that reads nothing gets none, and neither does one that is cut off already."""
    with contextlib.suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
        async with asyncio.timeout(CLOSE_SECONDS):
            await websocket.close(code)


async def _text_of(websocket: WebSocket) -> str:
    """Return the next text frame. Raises WebSocketDisconnect, and Refusal for a binary one."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    text = message.get("text")
    if text is None:
        raise Refusal(CloseCode.BINARY_OR_UNREADABLE)
    return str(text)


async def _until_end(work: Coroutine[Any, Any, None], socket: Socket) -> None:
    """Do one part of a socket's work; if it ends the socket, close it with the right code."""
    try:
        await work
    except Refusal as refusal:
        socket.close(refusal.code)
    except WebSocketDisconnect:
        socket.close(CloseCode.NORMAL)
    except Exception as error:  # noqa: BLE001 - told here; the device comes back by its cursors
        get_logger().error("a socket failed", exc_info=error)
        socket.close(CloseCode.TRY_LATER)
