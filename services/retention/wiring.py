"""How the retention service is put together: its doors, its publisher, and what takes answers in."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI

from libs.authz.authorizer import Authorizer
from libs.contracts.events import names_of
from libs.contracts.retention import DeksShredded, ItemsExpunged, OrderAnswered, OrderCompleted
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.disposition.presets import read_presets
from libs.events.effects import one_by_one
from libs.events.projector import Projector
from libs.host.app import Lifespan, create_app
from libs.host.approvals import approval_routes
from libs.host.background import Background
from libs.host.footing import Footing
from libs.host.outbox import acts_routes, outbox_routes
from libs.kernel.clock import Clock, SystemClock
from services.retention.adapters.destroyed import MessagingDestroyed
from services.retention.adapters.proofs import AuditProofs
from services.retention.domain.certificates import STORES
from services.retention.domain.orders import EXECUTORS
from services.retention.edge.certificates import certificate_routes
from services.retention.edge.http import retention_routes
from services.retention.edge.problems import PROBLEMS
from services.retention.edge.stream import answer_door, confirmation_door
from services.retention.settings import Settings
from services.retention.store.acts import ACTS
from services.retention.store.books import PostgresAnswers, PostgresBooks
from services.retention.store.certificates import PostgresCertificateBooks
from services.retention.store.confirmations import PostgresConfirmations
from services.retention.store.due_certificates import PostgresDueCertificates
from services.retention.usecases.access import Access
from services.retention.usecases.certificates import Certificates
from services.retention.usecases.certify import CERTIFY_SECONDS, Certify
from services.retention.usecases.denials import TellDenials
from services.retention.usecases.orders import Orders
from services.retention.usecases.rules import Erasures, Locks, Rules
from services.retention.usecases.runs import Runs

SERVICE: Final = "retention"
PREFIX: Final = "/retention/v1"
_POLICIES: Final = Path(__file__).parents[2] / "policies"
_TELL_SECONDS: Final = 2.0
"""How often it is looked for denials whose minute is over."""


class _World(Footing):
    """What the process reaches beside what every service stands on."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        urls = {
            "identity": settings.identity_url,
            "keys": settings.keys_url,
            "messaging": settings.messaging_url,
            "ediscovery": settings.ediscovery_url,
            "audit": settings.audit_url,
        }
        super().__init__(SERVICE, settings, clock, urls)
        self.database = TenantDatabase(settings.database, SERVICE)
        self.projecting = CrossingDatabase(settings.database_projector, f"{SERVICE}-projector", by_key=True)
        self.books = PostgresBooks(self.database, clock, self.ids)
        self.certificate_books = PostgresCertificateBooks(self.database, clock, self.ids)
        self.certify = Certify(
            PostgresDueCertificates(self.projecting),
            self.certificate_books,
            MessagingDestroyed(self.owners["messaging"]),
            self.leased_key("certificates"),
            settings.instance,
            clock,
            self.ids,
        )
        self.tell_denials = TellDenials(self.books, self.denials, self.ids)

    def projectors(self) -> list[Projector]:
        """Return what takes in the answers of executors, and what stores confirm."""
        doors = {
            store.name: confirmation_door(store.name, PostgresConfirmations, self.clock) for store in STORES
        }
        doors |= {
            executor: answer_door(
                executor, lambda tx: PostgresAnswers(tx, self.clock, self.ids), self.clock, self.ids
            )
            for executor in EXECUTORS
        }
        names = names_of(ItemsExpunged, DeksShredded, OrderAnswered, OrderCompleted)
        return [
            self.projector(source, self.projecting, one_by_one(door), names=names)
            for source, door in doors.items()
        ]


def build(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """Return the process; it connects when it starts. `clock` stands for the machine's."""
    world = _World(settings, clock or SystemClock())
    background = Background()
    return create_app(
        SERVICE,
        title="Muniment retention",
        prefix=PREFIX,
        routers=[
            *_routes(world),
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


def _routes(world: _World) -> list[APIRouter]:
    """Return what people call."""
    books, clock, ids = world.books, world.clock, world.ids
    access = Access(Authorizer(_POLICIES / "authz"), world.denials)
    presets = {preset.name: preset for preset in read_presets(_POLICIES / "retention")}
    verifier, revocations = world.signed_in.verifier, world.signed_in.revocations
    runs = Runs(books, access, clock, ids)
    people = retention_routes(
        PREFIX,
        verifier=verifier,
        revocations=revocations,
        rules=Rules(books, access, presets, clock, ids),
        locks=Locks(books, access, clock, ids),
        erasures=Erasures(books, access, clock, ids),
        orders=Orders(books, access, presets, clock, ids),
        runs=runs,
    )
    certificates = certificate_routes(
        PREFIX,
        verifier=verifier,
        revocations=revocations,
        certificates=Certificates(world.certificate_books, access, AuditProofs(world.owners["audit"])),
    )
    approvals = approval_routes(PREFIX, verifier=verifier, revocations=revocations, desk=runs, clock=clock)
    return [people, certificates, approvals]


PROCESSES: Final[Mapping[str, Callable[[Settings], FastAPI]]] = {SERVICE: build}


def _lifespan(world: _World, background: Background) -> Lifespan:
    """Return what happens around serving: connect, publish, take answers in, and let go of it all."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        pools = (world.database, world.projecting)
        async with world.standing(background, pools, [partial(world.tell_denials, everything=True)]):
            for projector in world.projectors():
                background.keep(projector.run)
            background.every(lambda: CERTIFY_SECONDS, world.certify)
            background.every(lambda: _TELL_SECONDS, world.tell_denials)
            yield

    return lifespan
