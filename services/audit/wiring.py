"""How the audit service is put together: it projects every service's facts, and grows the trees."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI

from libs.authz.authorizer import Authorizer
from libs.contracts.streams import PARTITIONS, Lane
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.events.acts import count_acts
from libs.events.projector import THRIFTY, Projector
from libs.host.app import Lifespan, create_app
from libs.host.background import Background
from libs.host.footing import Footing
from libs.host.outbox import outbox_routes
from libs.kernel.clock import Clock, SystemClock
from libs.kernel.denials import Denials
from services.audit.adapters.acts import COUNTING_SECONDS, SourceActs, peer_acts
from services.audit.adapters.alarm import GaugesAndErrors
from services.audit.adapters.prometheus import IntegrationSigns
from services.audit.edge.evidence import evidence_routes
from services.audit.edge.http import read_routes
from services.audit.edge.operator import operator_routes
from services.audit.edge.problems import PROBLEMS
from services.audit.edge.proofs import proof_routes
from services.audit.edge.stream import fact_door
from services.audit.settings import Settings
from services.audit.store.acts import ACTS
from services.audit.store.books import PostgresBooks
from services.audit.store.journal import PostgresJournal
from services.audit.store.ledger import PostgresLedgers
from services.audit.store.reading import PostgresReadings
from services.audit.usecases.access import Access
from services.audit.usecases.denials import RecordDenials
from services.audit.usecases.integrate import Integrate
from services.audit.usecases.read_log import ReadLog
from services.audit.usecases.reconcile import Reconcile
from services.audit.usecases.record_reads import RecordReads
from services.audit.usecases.search import SearchEntries
from services.audit.usecases.take_evidence import OwnEvidence, TakeEvidence
from services.audit.usecases.take_proofs import TakeProofs

SERVICE: Final = "audit"
PREFIX: Final = "/audit/v1"
POLICIES: Final = Path(__file__).parents[2] / "policies" / "authz"
_READS_SECONDS: Final = 2.0
"""How often it is looked for reads and denials whose minute is over."""
_PACE: Final = THRIFTY._replace(transaction_bytes=1 << 20)
"""A fact is 600 bytes or so: by fewer bytes a backlog's transactions would be of some four hundred."""
_LANES: Final = {"messaging": 4}
"""Projectors of one source: while the rows of some are inserted, the next facts are read by the others."""
_SEQUENCER_CONNECTIONS: Final = 10
"""One that holds the integrator's lock, one for each projector, and some to spare."""


class _World(Footing):
    """What the process reaches beside what every service stands on."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        urls = {
            "ediscovery": settings.ediscovery_url,
            "holds": settings.holds_url,
            "identity": settings.identity_url,
            "keys": settings.keys_url,
            "messaging": settings.messaging_url,
            "retention": settings.retention_url,
        }
        super().__init__(SERVICE, settings, clock, urls)
        self.settings = settings
        self.signs = IntegrationSigns(self.metrics)
        self.reading = TenantDatabase(settings.database, SERVICE)
        self.sequencing = CrossingDatabase(
            settings.database_sequencer, f"{SERVICE}-sequencer", _SEQUENCER_CONNECTIONS, by_key=True
        )
        self.counting = CrossingDatabase(settings.database_sequencer, f"{SERVICE}-counting", 1)
        self.readings = PostgresReadings(self.reading, clock, self.ids)
        self.reads = Denials(clock)
        self.record_denials = RecordDenials(self.readings, self.denials, self.ids)
        self.record_reads = RecordReads(self.readings, self.reads, self.ids)
        self.integrate = Integrate(
            PostgresLedgers(self.sequencing),
            self.leased_key("checkpoints"),
            settings.log_origin,
            clock,
            self.signs,
        )
        counted = self.clients(COUNTING_SECONDS)
        self.reconcile = Reconcile(
            {
                **{source: peer_acts(source, client) for source, client in counted.items()},
                SERVICE: SourceActs(SERVICE, lambda: count_acts(self.publishing, SERVICE, ACTS)),
            },
            PostgresBooks(self.counting),
            GaugesAndErrors(self.metrics),
            clock,
        )

    def projectors_of(self, source: str) -> list[Projector]:
        """Return what turns the facts of `source` into entries, side by side where there are many."""
        lanes = _LANES.get(source, 1)
        door = fact_door(source, PostgresJournal, self.randomness, self.signs.sequenced)
        return [
            self.projector(source, self.sequencing, door, range(lane, PARTITIONS, lanes), Lane.FACTS, _PACE)
            for lane in range(lanes)
        ]


def build(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """Return the audit service's process; it connects when it starts. `clock` stands for the machine's."""
    world = _World(settings, clock or SystemClock())
    background = Background()
    return create_app(
        SERVICE,
        title="Muniment audit",
        prefix=PREFIX,
        routers=[
            _reading_routes(world),
            operator_routes(world.peers, world.reconcile),
            evidence_routes(world.peers, OwnEvidence(world.readings)),
            proof_routes(world.peers, TakeProofs(world.readings, world.clock, world.ids)),
            outbox_routes(SERVICE, world.publishing, world.peers),
        ],
        problems=PROBLEMS,
        lifespan=_lifespan(world, background),
        readiness={
            "database": world.database_answers,
            "checkpoint key": world.signs.has_key,
            "revocations": world.signed_in.is_fresh,
            "publisher, projectors and integrator": background.runs,
        },
        metrics=world.metrics,
        ids=world.ids,
        clock=world.clock,
    )


def _reading_routes(world: _World) -> APIRouter:
    """Return what people and their tools call."""
    readings, clock, ids = world.readings, world.clock, world.ids
    access = Access(Authorizer(POLICIES), world.denials)
    return read_routes(
        PREFIX,
        verifier=world.signed_in.verifier,
        revocations=world.signed_in.revocations,
        read_log=ReadLog(readings, access, world.reads),
        search=SearchEntries(readings, access, clock, ids),
        take_evidence=TakeEvidence(readings, access, clock, ids),
    )


PROCESSES: Final[Mapping[str, Callable[[Settings], FastAPI]]] = {SERVICE: build}


def _lifespan(world: _World, background: Background) -> Lifespan:
    """Return what happens around serving: connect, publish, sequence, integrate, and let go of it all."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        pools = (world.reading, world.sequencing, world.counting)
        recording = (world.record_denials, world.record_reads)
        last = [partial(record, everything=True) for record in recording]
        async with world.standing(background, pools, last):
            for record in recording:
                background.every(lambda: _READS_SECONDS, record)
            background.keep(world.integrate.run)
            for source in (*world.owners, SERVICE):
                for projector in world.projectors_of(source):
                    background.keep(projector.run)
            background.every(lambda: world.settings.reconcile_seconds, world.reconcile.go_on)
            yield

    return lifespan
