"""Health, documentation and the beginning and end of an app."""

import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
import structlog
from fastapi import APIRouter, Depends, FastAPI

from libs.authn.actor import Actor
from libs.contracts.asyncapi import asyncapi_document
from libs.host.app import StartFailed, create_app
from libs.host.auth import require_actor
from libs.telemetry.logs import configure_logging
from tests.unit.host.apps import CANARY, client_of, trial_app
from tests.unit.host.test_auth import KnownActor


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


async def broken() -> bool:
    raise RuntimeError(CANARY)


@pytest.mark.parametrize("prefix", ["", "/trial/v1"])
async def test_a_process_is_ready_when_all_that_it_needs_is_there(prefix: str):
    async with client_of(trial_app(readiness={"database": yes, "keys": yes})) as client:
        assert (await client.get(f"{prefix}/healthz")).json() == {"status": "ok"}
        assert (await client.get(f"{prefix}/readyz")).json() == {"status": "ready"}


async def test_a_process_that_misses_something_says_what():
    app = trial_app(readiness={"database": yes, "keys": no, "redis": broken})
    async with client_of(app) as client:
        response = await client.get("/readyz")
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert response.json()["detail"] == "not ready: keys, redis"
        assert CANARY not in response.text
        assert (await client.get("/healthz")).status_code == 200


async def test_the_log_hears_of_readiness_once_per_change():
    written = io.StringIO()
    configure_logging("trial", stream=written)
    answers = {"keys": False}

    async def keys() -> bool:
        return answers["keys"]

    async with client_of(trial_app(readiness={"keys": keys})) as client:
        for answer in (False, True, False):
            answers["keys"] = answer
            for path in ("/readyz", "/trial/v1/readyz", "/trial/v1/healthz"):
                await client.get(path)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(line["event"], line.get("missing")) for line in lines] == [
        ("not ready", ["keys"]),
        ("ready", None),
        ("not ready", ["keys"]),
    ]


async def test_what_passes_by_itself_is_logged_in_a_word_and_a_defect_with_its_frames():
    written = io.StringIO()
    configure_logging("trial", stream=written)
    async with client_of(trial_app()) as client:
        for name in ("closed", "unlisted", "too-many"):
            await client.get(f"/trial/v1/raise/{name}")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    refused = [line for line in lines if line["event"] != "served"]
    assert [(line["level"], line["event"]) for line in refused] == [
        ("warning", "refused for now"),
        ("error", "refused"),
    ]
    assert "exception" not in refused[0]
    assert "exception" in refused[1]
    assert CANARY not in written.getvalue()


async def test_a_draining_process_is_not_ready():
    app = trial_app(readiness={"database": yes})
    async with client_of(app) as client:
        app.state.draining = True
        assert (await client.get("/readyz")).json()["detail"] == "not ready: draining"


async def test_the_documentation_is_openapi_3_1_with_problem_documents():
    async with client_of(trial_app(description="For <trial>.")) as client:
        document = (await client.get("/trial/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) >= {"/trial/v1/people", "/trial/v1/people/{person}"}
    assert "HTTPValidationError" not in json.dumps(document)
    for item in document["paths"].values():
        for operation in item.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert "422" not in operation["responses"]
    assert not [path for path in document["paths"] if "healthz" in path or "internal" in path]


async def test_the_page_needs_no_network_and_no_script():
    async with client_of(trial_app()) as client:
        response = await client.get("/trial/v1/docs")
    page = response.text
    assert response.headers["content-type"].startswith("text/html")
    assert "/trial/v1/people/{person}" in page
    assert "Take a &lt;person&gt;" in page
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style-src 'sha256-" in policy


async def test_a_service_with_a_socket_describes_its_frames_too():
    app = trial_app(describe_socket=asyncapi_document)
    async with client_of(app) as client:
        page = (await client.get("/trial/v1/docs")).text
        document = (await client.get("/trial/v1/asyncapi.json")).json()
    assert document["asyncapi"] == "3.0.0"
    assert "<code>welcome</code>" in page
    assert "/trial/v1/asyncapi.json" in page
    async with client_of(trial_app()) as client:
        assert (await client.get("/trial/v1/asyncapi.json")).status_code == 404


async def test_the_documentation_says_which_operations_need_a_token():
    router = APIRouter(prefix="/trial/v1")

    @router.get("/me")
    async def me(actor: Annotated[Actor, Depends(require_actor(KnownActor(), None))]) -> str:
        return str(actor.principal)

    app = create_app("trial", title="Trial", prefix="/trial/v1", routers=[router], problems={})
    document = app.openapi()
    assert document["components"]["securitySchemes"]["access token"]["scheme"] == "bearer"
    assert document["paths"]["/trial/v1/me"]["get"]["security"] == [{"access token": []}]


async def test_the_lifespan_begins_and_ends_with_the_app():
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        steps.append("open")
        yield
        steps.append("close")

    app = trial_app(lifespan=lifespan)
    async with app.router.lifespan_context(app):
        assert steps == ["open"]
    assert steps == ["open", "close"]


async def test_a_start_that_fails_is_told_without_the_errors_text():
    written = io.StringIO()
    configure_logging("trial", stream=written)

    class Refused:
        async def __aenter__(self) -> None:
            raise ConnectionRefusedError(111, "Connection refused", CANARY)

        async def __aexit__(self, *_error: object) -> None:
            """Nothing was opened."""

    def lifespan(_app: FastAPI) -> Refused:
        return Refused()

    app = trial_app(lifespan=lifespan)
    with pytest.raises(StartFailed):
        async with app.router.lifespan_context(app):
            pass
    structlog.reset_defaults()
    (line,) = written.getvalue().splitlines()
    assert json.loads(line)["event"] == "start failed"
    assert json.loads(line)["said"] == "Connection refused"
    assert CANARY not in line
