"""Who calls: bearer tokens, on requests and sockets, for people and for services."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.responses import Response

from libs.authn.actor import Actor
from libs.authn.errors import RevocationsUnknown, Unauthenticated
from libs.contracts.internal import Done, ObtainFingerprintKey, pack, unpack
from libs.host.app import create_app
from libs.host.auth import require_actor, require_service
from libs.host.wire import wire_body, wire_response
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId
from tests.unit.host.apps import client_of

ONE = UUID(int=1)
ADA = Actor(
    TenantId(ONE),
    PrincipalId(ONE),
    SessionId(ONE),
    DeviceId(ONE),
    frozenset({"employee"}),
    datetime(2026, 11, 24, tzinfo=UTC),
)


class KnownActor:
    async def verify(self, token: str) -> Actor:
        if token != "ada":
            raise Unauthenticated
        return ADA


class KnownPeer:
    def verify(self, token: str) -> str:
        if token not in ("messaging", "identity"):
            raise Unauthenticated
        return token


class Revocations:
    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal

    def check(self, actor: Actor) -> None:
        assert actor is ADA
        if self.refusal is not None:
            raise self.refusal


def app_of(revocations: Revocations | None = None) -> FastAPI:
    router = APIRouter()

    @router.get("/me")
    async def me(actor: Annotated[Actor, Depends(require_actor(KnownActor(), revocations))]) -> str:
        return str(actor.principal)

    @router.post("/internal/obtain")
    async def obtain(
        service: Annotated[str, Depends(require_service(KnownPeer(), ["messaging"]))],
        wanted: Annotated[ObtainFingerprintKey, Depends(wire_body(ObtainFingerprintKey))],
    ) -> Response:
        assert (service, wanted.tenant) == ("messaging", ONE)
        return wire_response(Done())

    return create_app("trial", title="Trial", prefix="/trial/v1", routers=[router], problems={})


async def test_a_good_token_is_its_actor():
    async with client_of(app_of(Revocations())) as client:
        response = await client.get("/me", headers={"authorization": "Bearer ada"})
        assert (response.status_code, response.json()) == (200, str(ONE))
        assert (await client.get("/me", headers={"authorization": "bearer  ada "})).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        [],
        ["ada"],
        ["Basic ada"],
        ["Bearer"],
        ["Bearer "],
        ["Bearer eve"],
        ["Bearer ädä"],
        ["Bearer ada", "Bearer ada"],
    ],
)
async def test_every_bad_token_gets_the_same_answer(header: list[str]):
    headers = [("authorization", value.encode()) for value in header]
    async with client_of(app_of()) as client:
        response = await client.get("/me", headers=[(k.encode(), v) for k, v in headers])
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert {k: v for k, v in response.json().items() if k != "request_id"} == {
        "type": "urn:problem:unauthenticated",
        "title": "Sign in",
        "status": 401,
        "code": "unauthenticated",
    }


async def test_a_revoked_session_is_refused_as_a_bad_token_is():
    async with client_of(app_of(Revocations(Unauthenticated()))) as client:
        response = await client.get("/me", headers={"authorization": "Bearer ada"})
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


async def test_unknown_revocations_refuse_for_a_while():
    async with client_of(app_of(Revocations(RevocationsUnknown()))) as client:
        response = await client.get("/me", headers={"authorization": "Bearer ada"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("token", "kind", "body", "status", "code"),
    [
        ("messaging", "application/msgpack", pack(ObtainFingerprintKey(tenant=ONE)), 200, None),
        (
            "identity",
            "application/msgpack",
            pack(ObtainFingerprintKey(tenant=ONE)),
            403,
            "service-not-allowed",
        ),
        ("ada", "application/msgpack", pack(ObtainFingerprintKey(tenant=ONE)), 401, "unauthenticated"),
        ("messaging", "application/json", pack(ObtainFingerprintKey(tenant=ONE)), 400, "malformed"),
        ("messaging", "application/msgpack", b"\xc1", 400, "malformed"),
        ("messaging", "application/msgpack", b"\x80", 400, "malformed"),
    ],
)
async def test_a_service_gets_what_it_may_ask_for(
    token: str, kind: str, body: bytes, status: int, code: str | None
):
    async with client_of(app_of()) as client:
        response = await client.post(
            "/internal/obtain",
            content=body,
            headers={"authorization": f"Bearer {token}", "content-type": kind},
        )
    assert response.status_code == status
    if code is None:
        assert unpack(response.content, Done) == Done()
    else:
        assert response.json()["code"] == code
