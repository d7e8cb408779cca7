"""Gateways without their doors: the real use cases on real engines, with sockets that keep what they get."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
from redis.asyncio import Redis

from infra.engines.valkey import ValkeyServer
from libs.authn.actor import Actor
from libs.authn.service_tokens import ServiceTokenSigner, public_key_of
from libs.contracts.socket import (
    HELLO_REF,
    Body,
    Entries,
    Entry,
    Page,
    read_server_frame,
)
from libs.host.background import Background
from libs.host.clients import ServiceClient
from libs.kernel.clock import Clock, SystemClock
from libs.kernel.ids import ConversationId, DeviceId, PrincipalId, SessionId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from libs.kernel.secrets import Secret
from services.messaging.domain.entries import ConversationKind
from services.messaging.domain.log import Appended, Repeated
from services.messaging.settings import Settings
from services.messaging.usecases.send import Acknowledged, acknowledged
from services.messaging.wiring import Core, core_of, running
from tests.integration.keys.service import SEEDS, Service
from tests.support.engines import ServiceDatabase


@dataclass(eq=False)
class KeepingSocket:
    """A socket of the edge's contract that keeps what it is given."""

    actor: Actor
    limit: int = 500
    frames: list[Any] = field(default_factory=list)

    @property
    def tenant(self) -> TenantId:
        return self.actor.tenant

    @property
    def principal(self) -> PrincipalId:
        return self.actor.principal

    @property
    def session(self) -> SessionId:
        return self.actor.session

    @property
    def device(self) -> DeviceId:
        return self.actor.device

    def push(self, frame: str) -> None:
        self.frames.append(read_server_frame(frame))

    async def drained(self) -> None:
        await asyncio.sleep(0)

    def entries(self, conversation: ConversationId) -> list[Entry]:
        """Return the entries of a conversation in the order in which they were written."""
        found: list[Entry] = []
        for frame in self.frames:
            if isinstance(frame, Entries) and frame.conversation == conversation:
                found += frame.entries
            if isinstance(frame, Page):
                found += [
                    e for part in frame.entries if part.conversation == conversation for e in part.entries
                ]
        return found

    def seqs(self, conversation: ConversationId) -> list[int]:
        return [entry.seq for entry in self.entries(conversation)]

    def texts(self, conversation: ConversationId) -> list[str | None]:
        return [
            e.body.text for e in self.entries(conversation) if e.body is not None and e.body.text is not None
        ]


@dataclass
class Gateway:
    """One gateway's use cases, running."""

    core: Core
    database: ServiceDatabase

    async def opened(
        self, actor: Actor, cursors: dict[UUID, int] | None = None, limit: int = 500
    ) -> KeepingSocket:
        """Open a socket and bring it up to date."""
        socket = KeepingSocket(actor, limit)
        await self.core.open_socket(actor, socket, cursors or {}, HELLO_REF)
        return socket

    async def group(self, creator: Actor, *others: Actor, name: str | None = None) -> ConversationId:
        conversation, _ = await self.core.converse.create(
            creator, ConversationKind.GROUP, [other.principal for other in others], uuid4(), name
        )
        return conversation

    async def submit(
        self,
        actor: Actor,
        conversation: ConversationId,
        text: str,
        client_id: UUID | None = None,
        socket: KeepingSocket | None = None,
    ) -> "asyncio.Future[Appended | Repeated]":
        return await self.core.send(actor, conversation, client_id or uuid4(), Body(text=text), socket)

    async def send(
        self,
        actor: Actor,
        conversation: ConversationId,
        text: str,
        client_id: UUID | None = None,
        socket: KeepingSocket | None = None,
    ) -> Acknowledged:
        return acknowledged(await (await self.submit(actor, conversation, text, client_id, socket)))

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement as the database's administrator, past every policy."""
        with psycopg.connect(self.database.admin_dsn.reveal(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def know(self, *actors: Actor) -> None:
        """Put people into messaging's copy of the directory, as identity's events would."""
        for actor in actors:
            self.rows(
                "INSERT INTO messaging.principal VALUES (%s, %s, true) ON CONFLICT DO NOTHING",
                actor.tenant,
                actor.principal,
            )


def person(tenant: TenantId, roles: Sequence[str] = ("employee",)) -> Actor:
    """Return somebody of a tenant on a device of his own."""
    return Actor(
        tenant=tenant,
        principal=PrincipalId(uuid4()),
        session=SessionId(uuid4()),
        device=DeviceId(uuid4()),
        roles=frozenset(roles),
        expires_at=SystemClock().now(),
    )


def settings_of(database: ServiceDatabase, valkey: ValkeyServer, name: str, **changes: Any) -> Settings:
    return Settings(
        listen="unix:/nowhere",
        gateway=name,
        database=database.dsn("messaging_app"),
        database_writer=database.dsn("messaging_writer"),
        database_projector=database.dsn("messaging_projector"),
        database_closer=database.dsn("messaging_closer"),
        database_disposer=database.dsn("messaging_disposer"),
        database_mapper=database.dsn("messaging_mapper"),
        database_publisher=database.dsn("messaging_publisher"),
        redis=valkey.url(),
        keys_url="http://keys:1",
        identity_url="http://identity:1",
        holds_url="http://holds:1",
        retention_url="http://retention:1",
        service_key=Secret(base64.b64encode(SEEDS["messaging"]).decode()),
        peer_keys={"keys": base64.b64encode(public_key_of(SEEDS["keys"])).decode()},
        **changes,
    )


@asynccontextmanager
async def gateway(
    settings: Settings, database: ServiceDatabase, keys: Service, clock: Clock | None = None
) -> AsyncIterator[Gateway]:
    """Run one gateway's use cases; its keys come from the real key service."""
    clock = clock or SystemClock()
    # The key service of the test lives at its own clock's time.
    signer = ServiceTokenSigner(
        "messaging", SEEDS["messaging"], keys.clock, SystemIds(keys.clock, SystemRandomness())
    )
    transport = httpx.ASGITransport(keys.app, raise_app_exceptions=False)
    background = Background()
    redis = Redis.from_url(settings.redis.reveal())
    async with ServiceClient(settings.keys_url, "keys", signer, transport=transport) as client:
        core = core_of(settings, client, redis, clock, background)
        async with running(core, background):
            yield Gateway(core, database)
    await redis.aclose()


async def until(
    holds: Callable[[], bool], complaint: str = "it never came to hold", seconds: float = 10
) -> None:
    """Wait until something holds, looking often."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, complaint
        await asyncio.sleep(0.01)
