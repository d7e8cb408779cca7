"""The identity service on real engines, called as its clients call it."""

import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
from fastapi import FastAPI
from psycopg.rows import namedtuple_row
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from libs.authn.jwks import jwk_of
from libs.authn.service_tokens import ServiceTokenSigner, ServiceTokenVerifier, public_key_of
from libs.contracts.events import decode
from libs.contracts.facts import IdentityFact
from libs.contracts.internal import ActsCounted, SigningKeyLease, pack, unpack
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from libs.kernel.secrets import Secret
from services.identity.settings import Settings
from services.identity.wiring import build
from tests.support.engines import ServiceDatabase

SEEDS = {
    name: bytes([number]) * 32
    for number, name in enumerate(["identity", "operator", "messaging", "audit", "ediscovery"], 1)
}
TOKEN_SEED = b"\x77" * 32
SCIM_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
DEVICE = "Ada's phone"


class ShiftedClock(SystemClock):
    """The machine's clock with a time of day that a test can set forward."""

    def __init__(self) -> None:
        self.shift = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.shift

    def to_the_minute(self) -> None:
        """Go on to the beginning of the next minute: what is counted by the minute then falls into one."""
        now = self.now()
        self.shift += now.replace(second=0, microsecond=0) + timedelta(minutes=1) - now


@dataclass
class KeyService:
    """Stands where the keys service listens: leases one signing key, and can be gone."""

    clock: ShiftedClock
    gone: bool = False
    leases: int = 0

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/internal/signing-keys/tokens/lease", self._lease, methods=["POST"]),
                Route("/keys/v1/jwks.json", self._jwks),
            ]
        )

    async def _lease(self, request: Request) -> Response:
        if self.gone:
            return Response(status_code=503)
        keys = {"identity": base64.b64encode(public_key_of(SEEDS["identity"])).decode()}
        token = request.headers["authorization"].removeprefix("Bearer ")
        assert ServiceTokenVerifier("keys", keys, self.clock).verify(token) == "identity"
        self.leases += 1
        lease = SigningKeyLease(kid="k1", private=TOKEN_SEED, not_after=self.clock.now() + timedelta(days=30))
        return Response(pack(lease), media_type="application/msgpack")

    async def _jwks(self, request: Request) -> Response:
        if self.gone:
            return Response(status_code=503)
        return JSONResponse({"keys": [jwk_of("k1", public_key_of(TOKEN_SEED))]})


class Tenant:
    """A tenant, its SCIM client and its people."""

    def __init__(self, service: "IdentityService", tenant: UUID, slug: str, scim_token: str) -> None:
        self.service = service
        self.tenant = tenant
        self.slug = slug
        self.scim_token = scim_token

    async def scim(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **options: Any
    ) -> httpx.Response:
        """Call SCIM as this tenant's directory does."""
        headers = {
            "authorization": f"Bearer {token or self.scim_token}",
            "content-type": "application/scim+json; charset=utf-8",
            **options.pop("headers", {}),
        }
        content = None if body is None else json.dumps(body)
        return await self.service.http.request(
            method, f"/scim/v2/{self.slug}{path}", content=content, headers=headers, **options
        )

    async def provision(self, user_name: str, **attributes: Any) -> UUID:
        """Take a person into the directory; return its id."""
        body = {"schemas": [SCIM_USER], "userName": user_name, **attributes}
        answer = await self.scim("POST", "/Users", body)
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["id"])

    async def patch(self, user: UUID, *operations: dict[str, Any], **options: Any) -> httpx.Response:
        """Change a person."""
        body = {"schemas": [PATCH_OP], "Operations": list(operations)}
        return await self.scim("PATCH", f"/Users/{user}", body, **options)

    async def codes(self, *principals: UUID) -> list[str]:
        """Return one-time codes."""
        answer = await self.service.operate(
            "POST",
            f"/internal/tenants/{self.tenant}/sign-in-codes",
            {"principals": [str(principal) for principal in principals]},
        )
        assert answer.status_code == 201, answer.text
        return [issued["code"] for issued in answer.json()["codes"]]

    async def sign_in(self, principal: UUID) -> dict[str, Any]:
        """Return what a device gets that signs in by a code."""
        code = (await self.codes(principal))[0]
        answer = await self.service.sign_in(code=code)
        assert answer.status_code == 201, answer.text
        signed_in: dict[str, Any] = answer.json()
        return signed_in


class IdentityService:
    """One process of identity."""

    def __init__(
        self, app: FastAPI, http: httpx.AsyncClient, database: ServiceDatabase, clock: ShiftedClock
    ) -> None:
        self.app = app
        self.http = http
        self.database = database
        self.clock = clock
        self.keys = KeyService(clock)

    def token_of(self, peer: str, target: str = "identity") -> str:
        """Return a service token of a peer."""
        ids = SystemIds(self.clock, SystemRandomness())
        return ServiceTokenSigner(peer, SEEDS[peer], self.clock, ids).token_for(target)

    async def operate(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Call as the operator."""
        headers = {"authorization": f"Bearer {self.token_of('operator')}"}
        return await self.http.request(method, path, json=body, headers=headers)

    async def make_tenant(self, slug: str, *, local_sign_in: bool = True) -> Tenant:
        """Make a tenant with a SCIM token."""
        body = {"slug": slug, "name": slug.title(), "local_sign_in": local_sign_in}
        made = await self.operate("POST", "/internal/tenants", body)
        assert made.status_code == 201, made.text
        tenant = UUID(made.json()["tenant"])
        issued = await self.operate("POST", f"/internal/tenants/{tenant}/scim-tokens", {})
        return Tenant(self, tenant, slug, issued.json()["token"])

    async def sign_in(self, **how: str) -> httpx.Response:
        """Sign in by code or password."""
        return await self.http.post("/identity/v1/sessions", json={"device_name": DEVICE, **how})

    async def refresh(self, refresh_token: str) -> httpx.Response:
        """Ask for the next tokens."""
        return await self.http.post("/identity/v1/sessions/refresh", json={"refresh_token": refresh_token})

    async def get(self, path: str, access_token: str) -> httpx.Response:
        """Ask as a person."""
        return await self.http.get(path, headers={"authorization": f"Bearer {access_token}"})

    async def sign_out(self, access_token: str) -> httpx.Response:
        """End the session."""
        return await self.http.delete(
            "/identity/v1/sessions/current", headers={"authorization": f"Bearer {access_token}"}
        )

    def rows(self, statement: str, *parameters: object) -> list[Any]:
        """Return what the administrator of the database sees."""
        dsn = self.database.admin_dsn.reveal()
        with psycopg.connect(dsn, row_factory=namedtuple_row, autocommit=True) as connection:
            return connection.execute(statement, parameters).fetchall()

    def execute(self, statement: str) -> None:
        """Change the database as its administrator."""
        with psycopg.connect(self.database.admin_dsn.reveal(), autocommit=True) as connection:
            connection.execute(statement)

    def events(self, name: str = "%") -> list[dict[str, Any]]:
        """Return the data of the events in the outbox, in order, with their name: all but facts."""
        return [
            {"name": row.name, **json.loads(row.body)["data"]}
            for row in self.outbox(name)
            if row.name != IdentityFact.name
        ]

    def facts(self, action: str | None = None) -> list[IdentityFact]:
        """Return the facts in the outbox, in order, of one action or of all."""
        found = [decode(row.body)[1] for row in self.outbox(IdentityFact.name)]
        return [fact for fact in found if isinstance(fact, IdentityFact) and action in (None, fact.action)]

    def outbox(self, name: str = "%") -> list[Any]:
        """Return the rows of the outbox, in order."""
        return self.rows(
            "SELECT part, position, tenant, name, body FROM identity.outbox WHERE name LIKE %s"
            " ORDER BY part, position",
            name,
        )

    async def ask(self, path: str, peer: str = "audit", **parameters: Any) -> httpx.Response:
        """Ask as another service does."""
        headers = {"authorization": f"Bearer {self.token_of(peer)}"}
        return await self.http.get(path, params=parameters, headers=headers)

    async def counted(self) -> dict[tuple[str, UUID], int]:
        """Return the acts that identity counts over its rows, by action and tenant, none that is zero."""
        answer = await self.ask("/internal/acts")
        assert answer.status_code == 200, answer.text
        acts = unpack(answer.content, ActsCounted).acts
        assert len({(each.action, each.tenant) for each in acts}) == len(acts)
        return {(each.action, each.tenant): each.count for each in acts if each.count}

    def told(self) -> dict[tuple[str, UUID], int]:
        """Return how many facts there are in the outbox, by action and tenant."""
        rows = self.outbox(IdentityFact.name)
        return dict(Counter((json.loads(row.body)["data"]["action"], row.tenant) for row in rows))


def settings_of(database: ServiceDatabase, redis: Secret) -> Settings:
    """Return the settings of a process on these engines."""
    return Settings(
        listen="unix:/unused",
        database=database.dsn("identity_app"),
        database_publisher=database.dsn("identity_publisher"),
        database_resolver=database.dsn("identity_resolver"),
        redis=redis,
        keys_url="http://keys:1",
        service_key=Secret(base64.b64encode(SEEDS["identity"]).decode()),
        peer_keys={
            name: base64.b64encode(public_key_of(seed)).decode()
            for name, seed in SEEDS.items()
            if name != "identity"
        },
    )


@asynccontextmanager
async def running_identity(database: ServiceDatabase, redis: Secret) -> AsyncIterator[IdentityService]:
    """Run one process of identity; several may share a database."""
    clock = ShiftedClock()
    keys = KeyService(clock)
    app = build(settings_of(database, redis), clock, httpx.ASGITransport(keys.app()))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="https://acme.test") as http,
    ):
        service = IdentityService(app, http, database, clock)
        service.keys = keys
        yield service
