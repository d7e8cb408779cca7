"""The key service as it runs: its real app on real engines, called over HTTP within this process."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import httpx
import psycopg
from fastapi import FastAPI

from infra.engines.openbao import AppRole, OpenBaoServer
from infra.engines.valkey import ValkeyServer
from libs.authn.service_tokens import ServiceTokenSigner, public_key_of
from libs.contracts import internal as wire
from libs.contracts.events import CloudEvent, Event, decode, encode
from libs.contracts.facts import KeysFact
from libs.contracts.retention import KeysEmptied
from libs.db.pool import CrossingDatabase
from libs.events.records import StreamRecord
from libs.kernel.clock import ManualClock
from libs.kernel.ids import SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from libs.kernel.secrets import Secret
from services.keys.edge.stream import shred_door
from services.keys.settings import Settings
from services.keys.store.shredding import shredding_in
from services.keys.wiring import build
from tests.support.engines import ServiceDatabase

POLICY = (Path(__file__).parents[3] / "policies" / "vault" / "keys.hcl").read_text()
PEERS = ("identity", "messaging", "media", "audit", "ediscovery", "retention", "operator")
SEEDS = {name: name.encode().ljust(32, b".") for name in (*PEERS, "keys")}
HOLDERS = {"tokens": "identity", "checkpoints": "audit"}
BACKUPS = timedelta(days=7)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

T = TypeVar("T", bound=wire.Wire)


@dataclass
class Service:
    """One running key service, and what its tests need to see of it."""

    app: FastAPI
    clock: ManualClock
    database: ServiceDatabase
    http: httpx.AsyncClient

    def headers(self, caller: str = "messaging", target: str = "keys") -> dict[str, str]:
        ids = SystemIds(self.clock, SystemRandomness())
        token = ServiceTokenSigner(caller, SEEDS[caller], self.clock, ids).token_for(target)
        return {"authorization": f"Bearer {token}", "content-type": wire.MEDIA_TYPE}

    async def post(self, path: str, message: wire.Wire, caller: str = "messaging") -> httpx.Response:
        return await self.http.post(path, content=wire.pack(message), headers=self.headers(caller))

    async def ask_for(self, *items: wire.DekWanted) -> httpx.Response:
        request = wire.ObtainDeks(items=items, purpose="seal", act="send")
        return await self.post("/internal/deks/obtain", request)

    async def obtain(self, *items: wire.DekWanted) -> tuple[wire.DekKey, ...]:
        return answer_of(await self.ask_for(*items), wire.KeysOf).items

    async def obtain_one(self, tenant: UUID, conversation: UUID, epoch: str = "2026-11") -> wire.DekKey:
        (key,) = await self.obtain(wanted(tenant, conversation, epoch))
        return key

    async def unwrap(self, *items: wire.DekNamed, purpose: str = "deliver") -> tuple[wire.DekKey, ...]:
        request = wire.UnwrapDeks(items=items, purpose=purpose, act="sync")
        return answer_of(await self.post("/internal/deks/unwrap", request), wire.KeysOf).items

    async def retire(self, tenant: UUID, *deks: UUID, order: UUID | None = None) -> None:
        request = wire.RetireDeks(tenant=tenant, order=order or uuid4(), deks=deks)
        answer_of(await self.post("/internal/deks/retire", request), wire.Done)

    async def shred(self, tenant: UUID, *deks: UUID, order: UUID, generation: int = 0) -> None:
        """Let the door of messaging's stream take in that these keys are empty."""
        ids = SystemIds(self.clock, SystemRandomness())
        event = KeysEmptied(order=order, generation=generation, deks=deks)
        body = encode(event, id=ids.uuid7(), time=self.clock.now(), tenant=tenant)
        record = StreamRecord(0, 1, TenantId(tenant), event.name, body)
        door = shred_door(lambda tx: shredding_in(tx, self.clock, ids), self.clock, BACKUPS)
        pool = CrossingDatabase(self.database.dsn("keys_shredder"), "keys-shredder", by_key=True)
        await pool.open()
        try:
            async with pool.begin() as tx:
                await door(tx, [record])
        finally:
            await pool.close()

    async def lease(self, use: str = "tokens") -> wire.SigningKeyLease:
        path = f"/internal/signing-keys/{use}/lease"
        response = await self.post(path, wire.LeaseSigningKey(), HOLDERS[use])
        return answer_of(response, wire.SigningKeyLease)

    def rows(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """Run a statement as the database's administrator, past every policy."""
        with psycopg.connect(self.database.admin_dsn.reveal(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def tamper(self, statement: str, *parameters: object) -> None:
        """Do what a superuser can do behind the service: change rows past the triggers."""
        with psycopg.connect(self.database.admin_dsn.reveal(), autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(statement.encode(), parameters)

    def outbox(self) -> list[tuple[CloudEvent, Event]]:
        """Return everything that was published, in the order of the outbox."""
        decoded = [
            decode(body)
            for (body,) in self.rows("SELECT body FROM keys.outbox ORDER BY part, position")
            if isinstance(body, bytes)
        ]
        return [(envelope, event) for envelope, event in decoded if event is not None]

    def events(self) -> list[Event]:
        """Return the published events that are no audit facts."""
        return [event for _, event in self.outbox() if not isinstance(event, KeysFact)]

    def facts(self) -> list[KeysFact]:
        """Return the audit facts."""
        return [event for _, event in self.outbox() if isinstance(event, KeysFact)]

    async def acts(self) -> wire.ActsCounted:
        return answer_of(
            await self.http.get("/internal/acts", headers=self.headers("audit")), wire.ActsCounted
        )

    async def rotate(self, use: str, caller: str = "operator") -> httpx.Response:
        return await self.http.post(f"/internal/signing-keys/{use}/rotate", headers=self.headers(caller))


def answer_of(response: httpx.Response, kind: type[T]) -> T:
    assert response.status_code == 200, response.text
    return wire.unpack(response.content, kind)


def problem_of(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of a problem document."""
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def wanted(tenant: UUID, conversation: UUID, epoch: str = "2026-11") -> wire.DekWanted:
    return wire.DekWanted(tenant=tenant, conversation=conversation, epoch=epoch)


def named(tenant: UUID, key: wire.DekKey) -> wire.DekNamed:
    assert key.dek is not None
    return wire.DekNamed(tenant=tenant, dek=key.dek)


def settings_of(
    database: ServiceDatabase, valkey: ValkeyServer, bao: OpenBaoServer, role: AppRole
) -> Settings:
    return Settings(
        listen="unix:/nowhere",
        database=database.dsn("keys_app"),
        database_publisher=database.dsn("keys_publisher"),
        database_projector=database.dsn("keys_projector"),
        database_shredder=database.dsn("keys_shredder"),
        redis=valkey.url(),
        holds_url="http://holds:1",
        messaging_url="http://messaging:1",
        vault_url=bao.address,
        vault_role_id=role.role_id,
        vault_secret_id=role.secret_id,
        service_key=Secret(base64.b64encode(SEEDS["keys"]).decode()),
        peer_keys={name: base64.b64encode(public_key_of(SEEDS[name])).decode() for name in PEERS},
    )


@asynccontextmanager
async def running(
    settings: Settings, database: ServiceDatabase, clock: ManualClock | None = None
) -> AsyncIterator[Service]:
    """Run one process of the service, from its start to its end."""
    clock = clock or ManualClock(NOON)
    app = build(settings, clock)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://keys", timeout=30) as http:
            yield Service(app, clock, database, http)
