"""The two layers around every app: the outermost one names, times and shields; the next bounds bodies."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from libs.contracts.problems import Problem
from libs.host.problems import BUSY, INTERNAL, TOO_LARGE, ErrorShape, document
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids
from libs.telemetry.logs import get_logger
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import Tracing

CONTENT_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SECURITY_HEADERS: Final = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("content-security-policy", CONTENT_POLICY),
    ("cache-control", "no-store"),
)
"""What every response has unless its route says otherwise; Caddy adds HSTS where it speaks TLS."""
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_UNSEEN: Final = ("/healthz", "/readyz", "/metrics")
"""Ends of the paths that are asked again and again: neither logged nor turned away."""
_INTERNAL_CLOSE: Final = 1011
_CLIENT_GONE: Final = 499
_Shapes = Callable[[Scope, Problem], Response]


class BodyTooLarge(HTTPException):
    """More was sent than this app reads; the framework passes on its own exceptions alone."""

    def __init__(self) -> None:
        """Mean 413."""
        super().__init__(TOO_LARGE.status)


class Shield:
    """The outermost layer: request id, security headers, times, and no exception that gets past it.

    What nobody caught is logged with its frames and answered with a problem document that says nothing.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        ids: Ids,
        clock: Clock,
        metrics: Metrics,
        tracing: Tracing,
        shape: _Shapes,
        max_concurrent: int,
    ) -> None:
        """Wrap `app`; `shape` turns a problem into the response form of the request's path."""
        self._app = app
        self._clock = clock
        self._max_concurrent = max_concurrent
        self._running = 0
        self._ids = ids
        self._tracing = tracing
        self._shape = shape
        self._log = get_logger()
        self._requests = metrics.counter("http_requests", "Answered requests", ("method", "route", "status"))
        self._seconds = metrics.histogram("http_request_seconds", "Time to an answer's end", ("route",))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one socket, or the lifespan (which passes untouched)."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = self._accepted_id(headers.get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = request_id
        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            self._tracing.span(f"serve {scope['type']}", traceparent=headers.get("traceparent")),
        ):
            if scope["type"] == "http":
                await self._serve_request(scope, receive, send, request_id)
            else:
                await self._serve_socket(scope, receive, send)

    def _accepted_id(self, wanted: str) -> str:
        """Return the caller's id when it is a plain one; a bad id is replaced, never echoed."""
        return wanted if _REQUEST_ID.fullmatch(wanted) else self._ids.uuid7().hex

    async def _serve_request(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        started = self._clock.monotonic()
        status = 0
        self._running += 1

        async def finished(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(MutableHeaders(scope=message), request_id)
            await send(message)

        try:
            if self._running > self._max_concurrent and not scope["path"].endswith(_UNSEEN):
                await self._answer(document(BUSY, request_id=request_id), scope, receive, finished)
            else:
                await self._app(scope, receive, finished)
        except BodyTooLarge:
            if not status:
                await self._answer(document(TOO_LARGE, request_id=request_id), scope, receive, finished)
        except ClientDisconnect:
            status = status or _CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - the one place where nothing gets past
            self._log.error("unhandled", exc_info=error)
            if status:
                raise ResponseBroken from None  # the server cuts the connection: half an answer is none
            await self._answer(document(INTERNAL, request_id=request_id), scope, receive, finished)
        finally:
            self._running -= 1
            self._count(scope, status, self._clock.monotonic() - started)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        closed = False

        async def watched(message: Message) -> None:
            nonlocal closed
            closed = closed or message["type"] == "websocket.close"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except WebSocketDisconnect:
            self._log.debug("socket gone")
        except Exception as error:  # noqa: BLE001 - the one place where nothing gets past
            self._log.error("unhandled", exc_info=error)
            if not closed:
                with suppress(Exception):  # the other end may be gone by now
                    await send({"type": "websocket.close", "code": _INTERNAL_CLOSE, "reason": ""})

    async def _answer(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        response = self._shape(scope, problem)
        if problem.status == BUSY.status:
            response.headers["retry-after"] = "1"
        await response(scope, receive, send)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        self._requests.labels(scope["method"] if route != "unknown" else "any", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if not route.endswith(_UNSEEN):
            milliseconds = round(seconds * 1000, 1)
            self._log.info("served", method=scope["method"], route=route, status=status, ms=milliseconds)


class ResponseBroken(Exception):
    """An answer broke off after it had begun; the details stand in the log."""


class BodyLimit:
    """Reads no more of a body than allowed, whether or not its length is announced."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        """Wrap `app`; bodies have at most `max_bytes` bytes."""
        self._app = app
        self._max = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises BodyTooLarge, which the shield answers with 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not (announced.isascii() and announced.isdigit()) or int(announced) > self._max:
            raise BodyTooLarge
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self._max:
                    raise BodyTooLarge
            return message

        await self._app(scope, bounded, send)


def shape_by_path(shapes: dict[str, ErrorShape], plain: ErrorShape) -> _Shapes:
    """Return the function that picks the error form by the longest matching prefix of the path."""
    ordered = sorted(shapes.items(), key=lambda item: -len(item[0]))

    def shaped(scope: Scope, problem: Problem) -> Response:
        form = next((form for prefix, form in ordered if scope["path"].startswith(prefix)), plain)
        return form(problem)

    return shaped


def route_of(scope: Scope) -> str:
    """Return the route's template, so that ids make no new labels; `unknown` when nothing matched."""
    route = scope.get("route")
    return str(getattr(route, "path_format", None) or getattr(route, "path", "unknown"))


def _complete(headers: MutableHeaders, request_id: str) -> None:
    for name, value in SECURITY_HEADERS:
        headers.setdefault(name, value)
    headers["x-request-id"] = request_id
