"""How the identity service is put together."""

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
from fastapi import APIRouter, FastAPI
from redis.asyncio import Redis

from libs.authn.jwks import JwksKeySource
from libs.authn.revocations import RevocationView
from libs.authn.service_tokens import ServiceTokenSigner, ServiceTokenVerifier
from libs.authn.tokens import TokenVerifier
from libs.authz.authorizer import Authorizer
from libs.contracts.internal import LeaseSigningKey, SigningKeyLease
from libs.contracts.streams import CONSUMERS
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.events.publisher import Publisher
from libs.host.app import Lifespan, create_app
from libs.host.auth import require_actor
from libs.host.background import Background
from libs.host.clients import ServiceClient
from libs.host.outbox import acts_routes, outbox_routes
from libs.kernel.clock import Clock, SystemClock
from libs.kernel.denials import Denials
from libs.kernel.errors import DomainError
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from libs.telemetry.logs import get_logger
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import Tracing
from services.identity.adapters.announcer import RevocationAnnouncer
from services.identity.adapters.passwords import Argon2Passwords
from services.identity.adapters.signing import LeasedSigning
from services.identity.edge.directory import directory_routes
from services.identity.edge.operator import OperatorActs, operator_routes
from services.identity.edge.people import people_routes
from services.identity.edge.problems import PROBLEMS
from services.identity.edge.revocations import revocation_routes
from services.identity.edge.scim import SCIM_PREFIX, ScimActs, scim_routes
from services.identity.edge.scim_forms import scim_error
from services.identity.edge.sessions import session_routes
from services.identity.settings import Settings
from services.identity.store.acts import ACTS
from services.identity.store.database import PostgresDatabase
from services.identity.store.revocations import PostgresRevocationLog
from services.identity.store.tenants import PostgresTenantRegistry
from services.identity.usecases.denials import RecordDenials
from services.identity.usecases.directory import Access, ReadMe, SearchPeople
from services.identity.usecases.operate import (
    CreateTenant,
    FindTenant,
    GrantRole,
    IssueScimToken,
    IssueSignInCodes,
    ListTenants,
    SetPassword,
)
from services.identity.usecases.people import NamePeople
from services.identity.usecases.provision import (
    AdmitScimClient,
    ChangeUser,
    GetUser,
    ProvisionUser,
    RemoveUser,
    SearchUsers,
)
from services.identity.usecases.refresh import RefreshSession
from services.identity.usecases.revocations import ReadRevocations
from services.identity.usecases.sessions import SessionOpener
from services.identity.usecases.sign_in import SignInByCode, SignInByPassword
from services.identity.usecases.sign_out import SignOut

SERVICE: Final = "identity"
PREFIX: Final = "/identity/v1"
POLICIES: Final = Path(__file__).parents[2] / "policies" / "authz"
_KEYS: Final = "keys"
_REDIS_SECONDS: Final = 2.0
_DENIAL_SECONDS: Final = 2.0
"""How often it is looked for denials whose minute is over."""


class _World:
    """What the process reaches: its databases, Redis, its peers, and the sources of time and chance."""

    def __init__(
        self, settings: Settings, clock: Clock, keys_transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.randomness = SystemRandomness()
        self.ids = SystemIds(clock, self.randomness)
        self.metrics, self.tracing = Metrics(SERVICE), Tracing(SERVICE)
        self.pool = TenantDatabase(settings.database, SERVICE)
        self.resolving = CrossingDatabase(settings.database_resolver, f"{SERVICE}-resolver")
        self.publishing = CrossingDatabase(settings.database_publisher, f"{SERVICE}-publisher", by_key=True)
        self.redis = Redis.from_url(settings.redis.reveal(), socket_connect_timeout=_REDIS_SECONDS)
        seed = base64.b64decode(settings.service_key.reveal(), validate=True)
        signer = ServiceTokenSigner(SERVICE, seed, clock, self.ids)
        self.keys = ServiceClient(settings.keys_url, _KEYS, signer, transport=keys_transport)
        self.peers = ServiceTokenVerifier(SERVICE, settings.peer_keys, clock)

        self.database = PostgresDatabase(self.pool, clock, self.ids)
        self.registry = PostgresTenantRegistry(self.resolving)
        self.log = PostgresRevocationLog(self.resolving)
        self.view = RevocationView(clock)
        self.announcer = RevocationAnnouncer(self.log, self.view, self.redis, clock)
        self.signing = LeasedSigning(self._lease, clock, self.ids)
        self.passwords = Argon2Passwords()
        self.denials = Denials(clock)
        self.record_denials = RecordDenials(self.database, self.denials, self.ids)
        self.publisher = Publisher(
            self.publishing,
            self.redis,
            SERVICE,
            consumers=CONSUMERS[SERVICE],
            clock=clock,
            metrics=self.metrics,
        )

    async def _lease(self) -> SigningKeyLease:
        return await self.keys.call("/internal/signing-keys/tokens/lease", LeaseSigningKey(), SigningKeyLease)

    async def fetch_token_keys(self) -> bytes:
        """Return the JWK set that the keys service publishes."""
        return await self.keys.fetch_bytes("/keys/v1/jwks.json")

    async def end_denials(self) -> None:
        """Write the denials of the running minute too, before the databases are let go."""
        try:
            await self.record_denials(everything=True)
        except DomainError as error:
            get_logger().warning("the last denials are not written", reason=type(error).__name__)

    async def database_answers(self) -> bool:
        """Say whether PostgreSQL answers."""
        async with self.resolving.begin() as tx:
            return await tx.fetch_one("SELECT position FROM identity.revocation_head") is not None

    async def signing_answers(self) -> bool:
        """Say whether there is a key to sign with."""
        await self.signing.get_signer()
        return True


def build(
    settings: Settings,
    clock: Clock | None = None,
    keys_transport: httpx.AsyncBaseTransport | None = None,
) -> FastAPI:
    """Return the identity service's process; it connects when it starts.

    `clock` stands for the machine's, `keys_transport` for the network to the keys service.
    """
    world = _World(settings, clock or SystemClock(), keys_transport)
    background = Background()
    return create_app(
        SERVICE,
        title="Muniment identity",
        prefix=PREFIX,
        routers=[
            *_public_routes(world),
            *_internal_routes(world),
        ],
        problems=PROBLEMS,
        lifespan=_lifespan(world, background),
        readiness={
            "database": world.database_answers,
            "signing key": world.signing_answers,
            "publisher and announcer": background.runs,
        },
        error_shapes={SCIM_PREFIX: scim_error},
        metrics=world.metrics,
        tracing=world.tracing,
        ids=world.ids,
        clock=world.clock,
    )


PROCESSES: Final[Mapping[str, Callable[[Settings], FastAPI]]] = {SERVICE: build}


def _public_routes(world: _World) -> list[APIRouter]:
    """Return what people, their devices and their directories call."""
    database, clock, announcer = world.database, world.clock, world.announcer
    denials = world.denials
    opener = SessionOpener(clock, world.ids, world.randomness)
    by_code = SignInByCode(database, world.registry, world.signing, opener, denials, clock)
    by_password = SignInByPassword(
        database, world.registry, world.signing, world.passwords, opener, denials, clock
    )
    refresh = RefreshSession(database, world.signing, announcer, denials, clock, world.randomness)
    verifier = TokenVerifier(JwksKeySource(world.fetch_token_keys, clock), clock)
    actor = require_actor(verifier, world.view)
    access = Access(Authorizer(POLICIES), denials)
    scim = ScimActs(
        admit=AdmitScimClient(database, denials, clock),
        provision=ProvisionUser(database, clock, world.ids),
        get=GetUser(database),
        search=SearchUsers(database),
        change=ChangeUser(database, announcer, clock),
        remove=RemoveUser(database, announcer, clock),
    )
    return [
        session_routes(by_password, by_code, refresh, SignOut(database, announcer, clock), actor),
        directory_routes(ReadMe(database, access), SearchPeople(database, access), actor),
        scim_routes(scim),
    ]


def _internal_routes(world: _World) -> list[APIRouter]:
    """Return what the operator and the other services call."""
    database, clock, randomness = world.database, world.clock, world.randomness
    acts = OperatorActs(
        create_tenant=CreateTenant(database, clock, world.ids),
        find_tenant=FindTenant(world.registry),
        list_tenants=ListTenants(world.registry),
        issue_scim_token=IssueScimToken(database, clock, world.ids, randomness),
        issue_codes=IssueSignInCodes(database, clock, randomness),
        set_password=SetPassword(database, world.passwords, clock),
        grant_role=GrantRole(database, clock),
    )
    return [
        operator_routes(world.peers, acts),
        people_routes(world.peers, NamePeople(database)),
        revocation_routes(world.peers, world.settings.peer_keys, ReadRevocations(world.log, clock)),
        outbox_routes(SERVICE, world.publishing, world.peers),
        acts_routes(SERVICE, world.publishing, world.peers, ACTS),
    ]


def _lifespan(world: _World, background: Background) -> Lifespan:
    """Return what happens around serving: connect, announce, publish, and let go in reverse order."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for pool in (world.pool, world.resolving, world.publishing):
                await pool.open()
                stack.push_async_callback(pool.close)
            stack.push_async_callback(world.redis.aclose)
            stack.push_async_callback(world.keys.close)
            stack.push_async_callback(world.end_denials)
            await stack.enter_async_context(background)
            background.keep(world.announcer.run)
            background.keep(world.publisher.run)
            background.every(lambda: _DENIAL_SECONDS, world.record_denials)
            yield

    return lifespan
