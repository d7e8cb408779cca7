"""The trial app as a process: it prints `open` when its lifespan begins and `closed` when it has ended."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI
from starlette.responses import Response

from libs.authn.errors import Unauthenticated
from libs.contracts.internal import DekKey, Done, KeysOf, ObtainDeks
from libs.host.app import Lifespan, create_app
from libs.host.auth import require_service
from libs.host.serve import AddressTaken, serve
from libs.host.wire import wire_body, wire_response
from libs.telemetry.logs import configure_logging
from tests.unit.host.apps import CANARY, PROBLEMS, Closed, routes


class AnyPeer:
    """Takes a token for the name of its service."""

    def verify(self, token: str) -> str:
        if not token:
            raise Unauthenticated
        return token


def internal() -> APIRouter:
    router = APIRouter(prefix="/internal", include_in_schema=False)
    messaging = Depends(require_service(AnyPeer(), ["messaging"]))

    @router.post("/deks/obtain", dependencies=[messaging])
    async def obtain(wanted: Annotated[ObtainDeks, Depends(wire_body(ObtainDeks))]) -> Response:
        items = tuple(DekKey(dek=item.conversation, key=bytes(32), kek_version=1) for item in wanted.items)
        return wire_response(KeysOf(items=items))

    @router.get("/done", dependencies=[messaging])
    async def done(status: int = 200) -> Response:
        return wire_response(Done(), status)

    @router.get("/closed")
    async def closed() -> Response:
        raise Closed(7)

    @router.get("/wait")
    async def wait(seconds: float) -> Response:
        print("waiting")
        await asyncio.sleep(seconds)
        return wire_response(Done())

    @router.get("/garbage")
    async def garbage() -> Response:
        return Response(b"\xc1")

    @router.get("/pid")
    async def pid() -> int:
        return os.getpid()

    return router


def lifespan_of(options: tuple[str, ...]) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if "fail" in options:
            raise RuntimeError(CANARY)
        print("open")
        yield
        print("closed")

    return lifespan


def main(listen: str, options: tuple[str, ...]) -> int:
    """Serve until a signal; return the exit code."""
    configure_logging("trial")
    app = create_app(
        "trial",
        title="Trial",
        prefix="/trial/v1",
        routers=[routes(), internal()],
        problems=PROBLEMS,
        lifespan=lifespan_of(options),
        max_body_bytes=1000,
    )
    drain = 1 if "short" in options else 10
    try:
        return serve(app, listen, drain_seconds=drain, max_frame_bytes=1000)
    except AddressTaken as taken:
        print(taken, file=sys.stderr)
        return 2
