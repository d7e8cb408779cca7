"""How the hold service is put together: it tells executors of holds, and hears them confirm."""

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI
from redis.asyncio import Redis

from libs.authn.service_tokens import ServiceTokenSigner, ServiceTokenVerifier
from libs.authz.authorizer import Authorizer
from libs.contracts.streams import CONSUMERS
from libs.db.pool import CrossingDatabase, TenantDatabase, Transaction
from libs.events.effects import ApplyMany
from libs.events.projector import Projector
from libs.events.publisher import Publisher
from libs.host.app import Lifespan, create_app
from libs.host.approvals import approval_routes
from libs.host.background import Background
from libs.host.clients import ServiceClient
from libs.host.outbox import acts_routes, outbox_routes
from libs.host.owners import gaps_of, reports_to
from libs.host.signed_in import SignedIn
from libs.kernel.clock import Clock, SystemClock
from libs.kernel.denials import Denials
from libs.kernel.errors import DomainError
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from libs.telemetry.logs import get_logger
from libs.telemetry.metrics import Metrics
from services.holds.adapters.prometheus import WaitingSigns
from services.holds.domain.holds import EXECUTORS
from services.holds.edge.http import PREFIX, hold_routes
from services.holds.edge.problems import PROBLEMS
from services.holds.edge.stream import confirmation_door, directory_door
from services.holds.settings import Settings
from services.holds.store.acts import ACTS
from services.holds.store.confirmations import PostgresConfirmations, PostgresWaitingHolds
from services.holds.store.principals import PostgresPrincipals
from services.holds.store.register import PostgresRegisters
from services.holds.usecases.access import Access
from services.holds.usecases.denials import TellDenials
from services.holds.usecases.place import PlaceHold
from services.holds.usecases.read import ReadHolds
from services.holds.usecases.release import ReleaseHold
from services.holds.usecases.watch import WatchHolds

SERVICE: Final = "holds"
POLICIES: Final = Path(__file__).parents[2] / "policies" / "authz"
_DENIALS_SECONDS: Final = 5.0
_WATCH_SECONDS: Final = 2.0


class _World:
    """What the process reaches: its databases, Redis, its peers, and the sources of time and chance."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.clock = clock
        self.ids = SystemIds(clock, SystemRandomness())
        self.metrics = Metrics(SERVICE)
        self.database = TenantDatabase(settings.database, SERVICE)
        self.projecting = CrossingDatabase(settings.database_projector, f"{SERVICE}-projector", by_key=True)
        self.publishing = CrossingDatabase(settings.database_publisher, f"{SERVICE}-publisher", by_key=True)
        self.redis = Redis.from_url(settings.redis.reveal())
        seed = base64.b64decode(settings.service_key.reveal(), validate=True)
        signer = ServiceTokenSigner(SERVICE, seed, clock, self.ids)
        self.peers = ServiceTokenVerifier(SERVICE, settings.peer_keys, clock)
        urls = {
            "ediscovery": settings.ediscovery_url,
            "identity": settings.identity_url,
            "keys": settings.keys_url,
            "messaging": settings.messaging_url,
        }
        self.owners = {name: ServiceClient(url, name, signer) for name, url in urls.items()}
        self.signed_in = SignedIn(self.owners["keys"], self.owners["identity"], self.redis, clock)
        self.publisher = Publisher(
            self.publishing,
            self.redis,
            SERVICE,
            consumers=CONSUMERS[SERVICE],
            clock=clock,
            metrics=self.metrics,
        )
        self.registers = PostgresRegisters(self.database, clock, self.ids)
        self.denials = Denials(clock)
        self.tell_denials = TellDenials(self.registers, self.denials, self.ids)
        signs = WaitingSigns(self.metrics, settings.late_seconds)
        self.watch = WatchHolds(PostgresWaitingHolds(self.projecting), signs, clock)

    def projectors(self) -> list[Projector]:
        """Return what takes in the directory, and the confirmations of each executor."""

        def confirmations_in(tx: Transaction) -> PostgresConfirmations:
            return PostgresConfirmations(tx, self.clock, self.ids)

        doors = {
            executor: confirmation_door(executor, confirmations_in, self.clock, self.ids)
            for executor in EXECUTORS
        }
        doors["identity"] = directory_door(PostgresPrincipals)
        return [self._projector(source, door) for source, door in doors.items()]

    def _projector(self, source: str, door: ApplyMany) -> Projector:
        return Projector(
            SERVICE,
            source,
            schema=SERVICE,
            database=self.projecting,
            redis=self.redis,
            apply=door,
            fetch_gap=gaps_of(self.owners[source]),
            report_cursors=reports_to(self.owners[source]),
            clock=self.clock,
            metrics=self.metrics,
        )

    async def end_denials(self) -> None:
        """Write the denials of the running minute too, before the database is let go."""
        try:
            await self.tell_denials(everything=True)
        except DomainError as error:
            get_logger().warning("the last denials are not written", reason=type(error).__name__)

    async def database_answers(self) -> bool:
        """Say whether PostgreSQL answers."""
        async with self.publishing.begin() as tx:
            return await tx.fetch_one("SELECT part FROM holds.outbox_head LIMIT 1") is not None


def build(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """Return the hold service's process; it connects when it starts. `clock` stands for the machine's."""
    world = _World(settings, clock or SystemClock())
    background = Background()
    return create_app(
        SERVICE,
        title="Muniment holds",
        prefix=PREFIX,
        routers=[
            *_routes_for_people(world),
            acts_routes(SERVICE, world.publishing, world.peers, ACTS),
            outbox_routes(SERVICE, world.publishing, world.peers),
        ],
        problems=PROBLEMS,
        lifespan=_lifespan(world, background),
        readiness={
            "database": world.database_answers,
            "revocations": world.signed_in.is_fresh,
            "publisher and projectors": background.runs,
        },
        metrics=world.metrics,
        ids=world.ids,
        clock=world.clock,
    )


PROCESSES: Final[Mapping[str, Callable[[Settings], FastAPI]]] = {SERVICE: build}


def _routes_for_people(world: _World) -> list[APIRouter]:
    registers, clock, ids = world.registers, world.clock, world.ids
    access = Access(Authorizer(POLICIES), world.denials)
    verifier, revocations = world.signed_in.verifier, world.signed_in.revocations
    release = ReleaseHold(registers, access, clock, ids)
    return [
        hold_routes(
            verifier=verifier,
            revocations=revocations,
            place=PlaceHold(registers, access, clock, ids),
            read=ReadHolds(registers, access),
            release=release,
            clock=clock,
        ),
        approval_routes(PREFIX, verifier=verifier, revocations=revocations, desk=release, clock=clock),
    ]


def _lifespan(world: _World, background: Background) -> Lifespan:
    """Return what happens around serving: connect, publish, project, watch, and let go of it all."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for pool in (world.database, world.projecting, world.publishing):
                await pool.open()
                stack.push_async_callback(pool.close)
            stack.push_async_callback(world.redis.aclose)
            for client in world.owners.values():
                stack.push_async_callback(client.close)
            stack.push_async_callback(world.end_denials)
            await stack.enter_async_context(background)
            background.keep(world.publisher.run)
            background.keep(world.signed_in.run)
            for projector in world.projectors():
                background.keep(projector.run)
            background.every(lambda: _DENIALS_SECONDS, world.tell_denials)
            background.every(lambda: _WATCH_SECONDS, world.watch)
            yield

    return lifespan
