"""A service to try the host on."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import httpx
from fastapi import APIRouter, FastAPI, Header, Query, WebSocket
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from libs.host.app import create_app
from libs.host.problems import ProblemRow
from libs.kernel.errors import DomainError

CANARY = "the takeover closes on Friday"


@dataclass(eq=False)
class TooMany(DomainError):
    limit: int
    text: str = CANARY


@dataclass(eq=False)
class Closed(DomainError):
    retry_after_seconds: float = 1.2


@dataclass(eq=False)
class ClosedForever(Closed):
    pass


@dataclass(eq=False)
class Unlisted(DomainError):
    text: str = CANARY


PROBLEMS = {
    TooMany: ProblemRow(409, "urn:problem:too-many", "Too many participants", "at most {limit}"),
    Closed: ProblemRow(503, "urn:problem:closed", "Closed"),
}


class Person(BaseModel):
    name: str = Field(max_length=5)
    ids: list[UUID] = []


def errors_by_name() -> Mapping[str, Exception]:
    return {
        "too-many": TooMany(1000),
        "closed": Closed(),
        "closed-forever": ClosedForever(),
        "unlisted": Unlisted(),
        "value": ValueError(CANARY),
        "group": ExceptionGroup(CANARY, [ValueError(CANARY)]),
    }


def routes() -> APIRouter:
    router = APIRouter(prefix="/trial/v1")

    @router.post("/people", summary="Take a <person>")
    async def take(person: Person) -> Person:
        return person

    @router.get("/people/{person}")
    async def give(
        person: UUID,
        limit: Annotated[int, Query(ge=1, le=10)] = 1,
        if_match: Annotated[int | None, Header()] = None,
    ) -> dict[str, Any]:
        return {"person": person, "limit": limit, "if_match": if_match}

    @router.get("/raise/{name}")
    async def fail(name: str) -> None:
        raise errors_by_name()[name]

    @router.get("/scim/raise/{name}")
    async def fail_otherwise(name: str) -> None:
        raise errors_by_name()[name]

    @router.get("/half")
    async def half() -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun"
            raise ValueError(CANARY)

        return StreamingResponse(parts())

    @router.get("/own-headers")
    async def own() -> Response:
        return Response(b"x", headers={"cache-control": "max-age=60", "x-request-id": "mine"})

    @router.websocket("/ws")
    async def echo(socket: WebSocket) -> None:
        await socket.accept(subprotocol="muniment.v1")
        while True:
            text = await socket.receive_text()
            if text == "raise":
                raise ValueError(CANARY)
            await socket.send_text(text)

    return router


def trial_app(**options: Any) -> FastAPI:
    return create_app(
        "trial", title="Trial", prefix="/trial/v1", routers=[routes()], problems=PROBLEMS, **options
    )


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://trial") as client:
        yield client
