"""Every error is a whole problem document, and none says more than it should."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from starlette.responses import Response

from libs.contracts.problems import Problem
from libs.host.problems import (
    LIBRARY_PROBLEMS,
    ProblemRow,
    merged,
    problem_of,
    uncovered,
)
from libs.kernel.errors import DomainError
from tests.unit.host.apps import CANARY, PROBLEMS, Closed, TooMany, Unlisted, client_of, trial_app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(trial_app()) as client:
        yield client


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    document: dict[str, object] = response.json()
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert document["type"] == f"urn:problem:{code}"
    assert document["code"] == code
    assert document["status"] == status
    assert document["title"]
    assert document["request_id"] == response.headers["x-request-id"]
    assert set(document) <= {"type", "title", "status", "code", "detail", "request_id", "errors"}
    assert CANARY not in response.text
    return document


async def test_an_error_of_the_table_is_its_row(client: httpx.AsyncClient):
    document = assert_problem(await client.get("/trial/v1/raise/too-many"), 409, "too-many")
    assert document["title"] == "Too many participants"
    assert document["detail"] == "at most 1000"


async def test_an_error_that_passes_says_when_to_come_again(client: httpx.AsyncClient):
    for name in ("closed", "closed-forever"):
        response = await client.get(f"/trial/v1/raise/{name}")
        assert_problem(response, 503, "closed")
        assert response.headers["retry-after"] == "2"


@pytest.mark.parametrize("name", ["unlisted", "value", "group"])
async def test_what_nobody_expected_says_nothing(client: httpx.AsyncClient, name: str):
    document = assert_problem(await client.get(f"/trial/v1/raise/{name}"), 500, "internal")
    assert "detail" not in document


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", f"/trial/v1/{CANARY}", 404, "not-found"),
        ("GET", "/trial/v1/people/", 404, "not-found"),
        ("DELETE", "/trial/v1/people", 405, "method-not-allowed"),
    ],
)
async def test_what_is_not_there_is_a_problem_document(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
):
    assert_problem(await client.request(method, path), status, code)


async def test_a_method_that_is_not_allowed_names_those_that_are(client: httpx.AsyncClient):
    assert (await client.delete("/trial/v1/people")).headers["allow"] == "POST"


async def test_defects_of_a_body_are_named_by_pointer_and_not_repeated(client: httpx.AsyncClient):
    response = await client.post("/trial/v1/people", json={"name": CANARY, "ids": ["x", 5]})
    document = assert_problem(response, 422, "invalid")
    errors = document["errors"]
    assert isinstance(errors, list)
    assert [error["pointer"] for error in errors] == ["#/name", "#/ids/0", "#/ids/1"]
    assert all(error["detail"] for error in errors)


async def test_defects_of_parameters_are_named(client: httpx.AsyncClient):
    response = await client.get("/trial/v1/people/x?limit=99", headers={"if-match": "x"})
    errors = assert_problem(response, 422, "invalid")["errors"]
    assert isinstance(errors, list)
    assert {error["parameter"] for error in errors} == {"path/person", "query/limit", "header/if-match"}


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed"),
        (CANARY.encode(), "application/json", 400, "malformed"),
        (b"\xff\xfe", "application/json", 400, "malformed"),
        (b"", "application/json", 422, "invalid"),
        (b"[" * 50_000, "application/json", 400, "malformed"),
        (b"<person/>", "application/xml", 422, "invalid"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    client: httpx.AsyncClient, content: bytes, kind: str, status: int, code: str
):
    response = await client.post("/trial/v1/people", content=content, headers={"content-type": kind})
    assert_problem(response, status, code)


async def test_many_defects_are_not_listed_without_end(client: httpx.AsyncClient):
    response = await client.post("/trial/v1/people", json={"name": "x", "ids": ["x"] * 5000})
    errors = assert_problem(response, 422, "invalid")["errors"]
    assert isinstance(errors, list)
    assert len(errors) == 100


async def test_a_protocol_with_its_own_error_form_gets_it_everywhere():
    def scim(problem: Problem) -> Response:
        return Response(
            f'{{"status":"{problem.status}"}}', problem.status, media_type="application/scim+json"
        )

    async with client_of(trial_app(error_shapes={"/trial/v1/scim": scim}, max_body_bytes=10)) as client:
        for path, status in {
            "/trial/v1/scim/raise/too-many": 409,
            "/trial/v1/scim/raise/value": 500,
            "/trial/v1/scim/nowhere": 404,
        }.items():
            response = await client.get(path)
            assert (response.status_code, response.headers["content-type"]) == (
                status,
                "application/scim+json",
            )
            assert response.json() == {"status": str(status)}
        large = await client.post("/trial/v1/scim/raise/value", content=b"x" * 11)
        assert large.json() == {"status": "413"}
        assert_problem(await client.get("/trial/v1/raise/too-many"), 409, "too-many")


def test_a_socket_gets_the_same_document():
    problem = problem_of(TooMany(7), merged(PROBLEMS))
    assert (problem.type, problem.status, problem.detail) == ("urn:problem:too-many", 409, "at most 7")


def test_a_services_row_wins_over_the_libraries():
    error = next(iter(LIBRARY_PROBLEMS))
    row = ProblemRow(418, "urn:problem:other", "Other")
    assert merged({error: row})[error] == row


def test_a_row_is_a_urn():
    with pytest.raises(ValueError, match="urn:problem:"):
        ProblemRow(400, "https://example.org/problem", "Bad")


def test_an_error_without_a_row_is_found():
    assert Unlisted in uncovered(PROBLEMS, "tests.unit.host.apps")
    assert TooMany not in uncovered(PROBLEMS, "tests.unit.host.apps")
    assert Closed not in uncovered(PROBLEMS, "tests.unit.host.apps")


@dataclass(eq=False)
class Planted(DomainError):
    """An error that somebody forgot to put into the table."""


def test_every_error_of_the_host_and_below_has_a_row():
    for package in ("libs.host", "libs.authn", "libs.db", "libs.events"):
        assert uncovered(LIBRARY_PROBLEMS, package) == []
    assert uncovered(LIBRARY_PROBLEMS, "tests.unit.host.test_problems") == [Planted]
