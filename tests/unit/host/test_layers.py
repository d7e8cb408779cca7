"""What surrounds every request: its id, its headers, its limits, its line in the log."""

import io
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx
import msgspec
import pytest
import structlog
from fastapi import APIRouter
from starlette.types import Message

from libs.host.app import create_app
from libs.host.layers import SECURITY_HEADERS
from libs.telemetry.logs import configure_logging
from tests.unit.host.apps import CANARY, client_of, trial_app

KNOWN_ID = "0123abcd-REQ_id"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    configure_logging("trial", stream=written)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(trial_app(max_body_bytes=100)) as client:
        yield client


async def test_a_callers_request_id_is_kept(client: httpx.AsyncClient):
    response = await client.get("/healthz", headers={"x-request-id": KNOWN_ID})
    assert response.headers["x-request-id"] == KNOWN_ID


@pytest.mark.parametrize(
    "bad",
    ["", "short", "x" * 65, "with space in", 'quote"quote', "line\\nbreak", "Ünicode-id", "../../etc/passwd"],
)
async def test_a_bad_request_id_is_replaced(client: httpx.AsyncClient, bad: str):
    response = await client.get("/healthz", headers={b"x-request-id": bad.encode()})
    made = response.headers["x-request-id"]
    assert made != bad
    assert len(made) == 32
    assert made.isalnum()


async def test_every_request_has_an_id_of_its_own(client: httpx.AsyncClient):
    ids = {(await client.get("/healthz")).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/trial/v1/raise/value", "/metrics"])
async def test_every_answer_has_the_security_headers(client: httpx.AsyncClient, path: str):
    headers = (await client.get(path)).headers
    assert {name: headers[name] for name, _ in SECURITY_HEADERS} == dict(SECURITY_HEADERS)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


async def test_a_route_may_say_otherwise_but_not_about_the_id(client: httpx.AsyncClient):
    headers = (await client.get("/trial/v1/own-headers")).headers
    assert headers["cache-control"] == "max-age=60"
    assert headers["x-request-id"] != "mine"


async def test_a_body_that_is_announced_too_large_is_refused_unread():
    app = trial_app(max_body_bytes=100)
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * 101, "more_body": False}

    sent = await exchange(app, receive, [(b"content-length", b"101")])
    assert sent[0]["status"] == 413
    assert asked == 0


async def test_a_body_without_a_length_is_cut_off_at_the_limit():
    app = trial_app(max_body_bytes=100)
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * 30, "more_body": asked < 20}

    sent = await exchange(app, receive, [(b"transfer-encoding", b"chunked")])
    assert sent[0]["status"] == 413
    assert msgspec.json.decode(sent[1]["body"])["code"] == "too-large"
    assert asked == 4


async def test_a_body_that_is_longer_than_announced_is_cut_off_too():
    parts = iter([True, True, False])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 60, "more_body": next(parts)}

    sent = await exchange(trial_app(max_body_bytes=100), receive, [(b"content-length", b"5")])
    assert sent[0]["status"] == 413


@pytest.mark.parametrize("length", [b"-1", b"x", b"1e3", "²".encode("latin-1")])
async def test_a_length_that_is_no_number_is_refused(length: bytes):
    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    sent = await exchange(trial_app(max_body_bytes=100), receive, [(b"content-length", length)])
    assert sent[0]["status"] == 413


async def test_a_body_at_the_limit_is_read(client: httpx.AsyncClient):
    body = b'{"name":"Ada"}'.ljust(100)
    response = await client.post(
        "/trial/v1/people", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code == 200


async def exchange(app: Any, receive: Any, headers: list[tuple[bytes, bytes]]) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/trial/v1/people",
        "raw_path": b"/trial/v1/people",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), *headers],
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    return sent


async def test_requests_above_the_limit_are_sent_away_with_a_time():
    release = anyio.Event()
    router = APIRouter(prefix="/trial/v1")

    @router.get("/wait")
    async def wait() -> str:
        await release.wait()
        return "done"

    app = create_app(
        "trial",
        title="Trial",
        prefix="/trial/v1",
        routers=[router],
        problems={},
        max_concurrent_requests=2,
    )
    statuses: list[int] = []
    async with client_of(app) as client, anyio.create_task_group() as tasks:

        async def ask() -> None:
            statuses.append((await client.get("/trial/v1/wait")).status_code)

        tasks.start_soon(ask)
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            refused = await client.get("/trial/v1/wait")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["code"] == "busy"
        assert (await client.get("/healthz")).status_code == 200
        release.set()
    assert statuses == [200, 200]


async def test_the_log_names_the_route_and_nothing_of_the_request(
    client: httpx.AsyncClient, log: io.StringIO
):
    person = "01a20bb1-1520-75e1-9e9b-1227c3deee85"
    await client.get(f"/trial/v1/people/{person}?limit=2&token={CANARY}", headers={"x-request-id": KNOWN_ID})
    await client.get("/trial/v1/raise/value")
    await client.get("/healthz")
    lines = [msgspec.json.decode(line) for line in log.getvalue().splitlines()]
    assert lines[0]["route"] == "/trial/v1/people/{person}"
    assert lines[0]["status"] == 200
    assert lines[0]["request_id"] == KNOWN_ID
    assert [line["event"] for line in lines] == ["served", "unhandled", "served"]
    assert person not in log.getvalue()
    assert CANARY not in log.getvalue()


async def test_metrics_count_by_route_and_not_by_path(client: httpx.AsyncClient):
    for path in ("/trial/v1/people/x", "/trial/v1/people/y", f"/{CANARY}"):
        await client.get(path)
    shown = (await client.get("/metrics")).text
    assert (
        'muniment_http_requests_total{method="GET",route="/trial/v1/people/{person}",status="422"} 2.0'
        in shown
    )
    assert 'muniment_http_requests_total{method="any",route="unknown",status="404"} 1.0' in shown
    assert CANARY not in shown


async def test_an_answer_that_breaks_off_is_cut_and_logged_without_its_content(log: io.StringIO):
    async with client_of(trial_app()) as client:
        response = await client.get("/trial/v1/half")
    assert response.text == "begun"
    assert "unhandled" in log.getvalue()
    assert CANARY not in log.getvalue()
