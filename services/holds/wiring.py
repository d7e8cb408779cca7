"""How the hold service is put together: it tells executors of holds, and hears them confirm."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI

from libs.authz.authorizer import Authorizer
from libs.contracts.events import names_of
from libs.contracts.holds import GenerationConfirmed
from libs.db.pool import CrossingDatabase, TenantDatabase, Transaction
from libs.events.projector import Projector
from libs.host.app import Lifespan, create_app
from libs.host.approvals import approval_routes
from libs.host.background import Background
from libs.host.footing import Footing
from libs.host.outbox import acts_routes, outbox_routes
from libs.kernel.clock import Clock, SystemClock
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


class _World(Footing):
    """What the process reaches beside what every service stands on."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        urls = {
            "ediscovery": settings.ediscovery_url,
            "identity": settings.identity_url,
            "keys": settings.keys_url,
            "messaging": settings.messaging_url,
        }
        super().__init__(SERVICE, settings, clock, urls)
        self.database = TenantDatabase(settings.database, SERVICE)
        self.projecting = CrossingDatabase(settings.database_projector, f"{SERVICE}-projector", by_key=True)
        self.registers = PostgresRegisters(self.database, clock, self.ids)
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
        names = names_of(GenerationConfirmed)
        return [
            *(self.projector(source, self.projecting, door, names=names) for source, door in doors.items()),
            self.projector("identity", self.projecting, directory_door(PostgresPrincipals)),
        ]


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
        pools = (world.database, world.projecting)
        async with world.standing(background, pools, [partial(world.tell_denials, everything=True)]):
            for projector in world.projectors():
                background.keep(projector.run)
            background.every(lambda: _DENIALS_SECONDS, world.tell_denials)
            background.every(lambda: _WATCH_SECONDS, world.watch)
            yield

    return lifespan
