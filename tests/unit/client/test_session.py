"""Signing in and staying so, against routes that the test answers."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest

from libs.client.client import Client
from libs.client.errors import Refused, SignedOut, Unreachable
from libs.client.wire import socket_url_of
from libs.kernel.clock import ManualClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SeededRandomness

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROOM = UUID(int=10)
Answer = Callable[[httpx.Request], httpx.Response]


class Platform:
    """Answers the routes of identity and messaging, and remembers what was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str | None]] = []
        self.refreshes = 0
        self.answers: dict[str, Answer] = {}
        self.clock = ManualClock(NOON)
        self.client = Client(
            "http://muniment.test",
            httpx.AsyncClient(transport=httpx.MockTransport(self.answer)),
            self.clock,
            SystemIds(self.clock, SeededRandomness(1)),
            SeededRandomness(2),
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.calls.append((request.method, path, request.headers.get("authorization")))
        if path in self.answers:
            return self.answers[path](request)
        if path == "/identity/v1/sessions/refresh":
            self.refreshes += 1
        return httpx.Response(200, json=self.signed_in())

    def signed_in(self) -> dict[str, object]:
        return {
            "access_token": f"token-{self.refreshes}",
            "token_type": "Bearer",
            "expires_in": 300,
            "refresh_token": f"refresh-{self.refreshes}",
            "tenant": str(UUID(int=1)),
            "principal": str(UUID(int=2)),
            "session": str(UUID(int=3)),
            "device": str(UUID(int=4)),
            "roles": ["employee"],
        }


def problem_of(status: int, code: str) -> httpx.Response:
    return httpx.Response(
        status,
        json={"type": f"urn:problem:{code}", "title": "Refused", "status": status, "code": code},
        headers={"content-type": "application/problem+json"},
    )


@pytest.fixture
async def platform() -> Platform:
    platform = Platform()
    await platform.client.sign_in_with_code("demo.AAAA", device_name="test")
    return platform


async def test_a_token_is_used_until_shortly_before_it_expires(platform: Platform) -> None:
    platform.clock.advance(200)
    assert await platform.client.session.access_token() == "token-0"
    platform.clock.advance(75)
    assert await platform.client.session.access_token() == "token-1"
    assert platform.refreshes == 1


async def test_many_who_need_a_new_token_at_once_refresh_once(platform: Platform) -> None:
    platform.clock.advance(300)
    tokens = await asyncio.gather(*(platform.client.session.access_token() for _ in range(20)))
    assert set(tokens) == {"token-1"}
    assert platform.refreshes == 1


async def test_a_call_whose_token_is_refused_is_made_once_more_with_a_new_one(platform: Platform) -> None:
    def conversations(request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] == "Bearer token-0":
            return problem_of(401, "unauthenticated")
        return httpx.Response(200, json={"conversations": []})

    platform.answers["/messaging/v1/conversations"] = conversations
    assert await platform.client.conversations() == ()
    assert platform.refreshes == 1


async def test_a_session_that_is_over_says_so(platform: Platform) -> None:
    platform.answers["/identity/v1/sessions/refresh"] = lambda _: problem_of(401, "unauthenticated")
    platform.clock.advance(300)
    with pytest.raises(SignedOut):
        await platform.client.session.access_token()


async def test_nobody_is_signed_in_before_the_sign_in() -> None:
    with pytest.raises(SignedOut, match="nobody"):
        await Platform().client.session.access_token()


async def test_a_refusal_carries_its_problem(platform: Platform) -> None:
    path = f"/messaging/v1/conversations/{ROOM}"
    platform.answers[path] = lambda _: problem_of(404, "conversation-not-found")
    with pytest.raises(Refused) as refused:
        await platform.client.get_conversation(ROOM)
    assert refused.value.problem.code == "conversation-not-found"


async def test_a_refusal_without_a_problem_document_is_a_sentence_all_the_same(platform: Platform) -> None:
    path = f"/messaging/v1/conversations/{ROOM}"
    platform.answers[path] = lambda _: httpx.Response(502, text="<html>bad gateway</html>")
    with pytest.raises(Refused, match="answered 502") as refused:
        await platform.client.get_conversation(ROOM)
    assert refused.value.problem.status == 502


async def test_silence_and_nonsense_are_told_apart_from_refusals(platform: Platform) -> None:
    def silence(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    platform.answers["/messaging/v1/conversations"] = silence
    with pytest.raises(Unreachable, match="did not answer"):
        await platform.client.conversations()
    platform.answers["/messaging/v1/conversations"] = lambda _: httpx.Response(200, text="hello")
    with pytest.raises(Unreachable, match="something else"):
        await platform.client.conversations()


async def test_a_person_who_was_just_provisioned_is_waited_for(platform: Platform) -> None:
    asked: list[dict[str, object]] = []

    def create(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        if len(asked) < 3:
            return problem_of(404, "participant-unknown")
        return httpx.Response(201, json={"conversation": str(ROOM), "seq": 1})

    platform.answers["/messaging/v1/conversations"] = create
    created = await platform.client.create_conversation("direct", [UUID(int=9)])
    assert created.conversation == ROOM
    assert asked[0] == asked[2]


async def test_a_person_who_never_arrives_is_refused_in_the_end(platform: Platform) -> None:
    def create(_: httpx.Request) -> httpx.Response:
        platform.clock.advance(8)
        return problem_of(404, "participant-unknown")

    platform.answers["/messaging/v1/conversations"] = create
    with pytest.raises(Refused):
        await platform.client.create_conversation("direct", [UUID(int=9)])


def test_tokens_are_not_printed(platform: Platform) -> None:
    assert "token-0" not in repr(platform.client.session.signed_in)
    assert "refresh-0" not in repr(platform.client.session.signed_in)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://muniment.example", "wss://muniment.example/messaging/v1/ws"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/messaging/v1/ws"),
        ("127.0.0.1:9801", "ws://127.0.0.1:9801/messaging/v1/ws"),
    ],
)
def test_the_socket_stands_at_the_same_origin(address: str, url: str) -> None:
    assert socket_url_of(address) == url
