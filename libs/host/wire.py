"""MessagePack at the edge: for routes that services call, beside FastAPI's JSON for people's clients."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from libs.contracts.internal import MEDIA_TYPE, MalformedMessage, Wire, pack, unpack
from libs.host.errors import BodyUnreadable

T = TypeVar("T", bound=Wire)


def wire_body(kind: type[T]) -> Callable[[Request], Awaitable[T]]:
    """Return a dependency that reads the body: `Annotated[ObtainDeks, Depends(wire_body(ObtainDeks))]`.

    A body of another media type or shape raises BodyUnreadable (400).
    """

    async def body_of(request: Request) -> T:
        if request.headers.get("content-type") != MEDIA_TYPE:
            raise BodyUnreadable
        try:
            return unpack(await request.body(), kind)
        except MalformedMessage:
            raise BodyUnreadable from None

    return body_of


def wire_response(message: Wire, status: int = 200) -> Response:
    """Return the message as a response."""
    return Response(pack(message), status, media_type=MEDIA_TYPE)
