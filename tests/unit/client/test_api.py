"""What lies at a path comes whole, or an error says that it did not."""

from collections.abc import AsyncIterator

import httpx
import pytest

from libs.client.api import Api
from libs.client.errors import Refused, SignedOut, Unreachable


async def pieces_of(answer: httpx.Response) -> bytes:
    def answered(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer token"
        return answer

    async with httpx.AsyncClient(transport=httpx.MockTransport(answered)) as http:
        api = Api("http://muniment.test", http)
        return b"".join([piece async for piece in api.pieces("/there", token="token")])


async def test_every_byte_comes() -> None:
    whole = bytes(range(256)) * 1000
    assert await pieces_of(httpx.Response(200, content=whole)) == whole


async def test_a_refusal_is_its_problem() -> None:
    problem = {"type": "about:blank", "title": "Not there", "status": 404, "code": "not-found"}
    with pytest.raises(Refused, match="Not there"):
        await pieces_of(httpx.Response(404, json=problem))
    with pytest.raises(SignedOut):
        await pieces_of(httpx.Response(401))


async def test_what_breaks_off_is_not_taken_for_the_whole() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise httpx.ReadError("gone")

    with pytest.raises(Unreachable):
        await pieces_of(httpx.Response(200, content=broken()))
