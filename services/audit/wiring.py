"""How the audit service is put together: it projects every service's facts, and grows the trees."""

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI
from redis.asyncio import Redis

from libs.authn.service_tokens import ServiceTokenSigner, ServiceTokenVerifier
from libs.authz.authorizer import Authorizer
from libs.contracts.internal import LeaseSigningKey, SigningKeyLease
from libs.contracts.streams import CONSUMERS, PARTITIONS, Lane
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.events.acts import count_acts
from libs.events.internal import own_gaps, own_reports
from libs.events.projector import THRIFTY, Projector
from libs.events.publisher import Publisher
from libs.host.app import Lifespan, create_app
from libs.host.background import Background
from libs.host.clients import ServiceClient
from libs.host.leases import LeasedKey
from libs.host.outbox import outbox_routes
from libs.host.owners import gaps_of, reports_to
from libs.host.signed_in import SignedIn
from libs.kernel.clock import Clock, SystemClock
from libs.kernel.denials import Denials
from libs.kernel.errors import DomainError
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from libs.telemetry.logs import get_logger
from libs.telemetry.metrics import Metrics
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
_LANES: Final = {"messaging": 4}
"""Projectors of one source: while the rows of some are inserted, the next facts are read by the others."""
_SEQUENCER_CONNECTIONS: Final = 10
"""One that holds the integrator's lock, one for each projector, and some to spare."""


class _World:
    """What the process reaches: its databases, Redis, its peers, and the sources of time and chance."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.randomness = SystemRandomness()
        self.ids = SystemIds(clock, self.randomness)
        self.metrics = Metrics(SERVICE)
        self.signs = IntegrationSigns(self.metrics)
        self.reading = TenantDatabase(settings.database, SERVICE)
        self.sequencing = CrossingDatabase(
            settings.database_sequencer, f"{SERVICE}-sequencer", _SEQUENCER_CONNECTIONS, by_key=True
        )
        self.publishing = CrossingDatabase(settings.database_publisher, f"{SERVICE}-publisher", by_key=True)
        self.redis = Redis.from_url(settings.redis.reveal())
        seed = base64.b64decode(settings.service_key.reveal(), validate=True)
        signer = ServiceTokenSigner(SERVICE, seed, clock, self.ids)
        self.peers = ServiceTokenVerifier(SERVICE, settings.peer_keys, clock)
        urls = {
            "ediscovery": settings.ediscovery_url,
            "holds": settings.holds_url,
            "identity": settings.identity_url,
            "keys": settings.keys_url,
            "messaging": settings.messaging_url,
            "retention": settings.retention_url,
        }
        self.readings = PostgresReadings(self.reading, clock, self.ids)
        self.denials, self.reads = Denials(clock), Denials(clock)
        self.record_denials = RecordDenials(self.readings, self.denials, self.ids)
        self.record_reads = RecordReads(self.readings, self.reads, self.ids)
        self.owners = {source: ServiceClient(url, source, signer) for source, url in urls.items()}
        self.signed_in = SignedIn(self.owners["keys"], self.owners["identity"], self.redis, clock)
        self.counted = {
            source: ServiceClient(url, source, signer, timeout_seconds=COUNTING_SECONDS)
            for source, url in urls.items()
        }
        self.counting = CrossingDatabase(settings.database_sequencer, f"{SERVICE}-counting", 1)
        self.publisher = Publisher(
            self.publishing,
            self.redis,
            SERVICE,
            consumers=CONSUMERS[SERVICE],
            clock=clock,
            metrics=self.metrics,
        )
        key = LeasedKey(self._lease, clock)
        self.integrate = Integrate(
            PostgresLedgers(self.sequencing), key, settings.log_origin, clock, self.signs
        )

        self.reconcile = Reconcile(
            {
                **{source: peer_acts(source, client) for source, client in self.counted.items()},
                SERVICE: SourceActs(SERVICE, lambda: count_acts(self.publishing, SERVICE, ACTS)),
            },
            PostgresBooks(self.counting),
            GaugesAndErrors(self.metrics),
            clock,
        )

    async def end_reads(self) -> None:
        """Write the reads and denials of the running minute too, before the databases are let go."""
        for record in (self.record_denials, self.record_reads):
            try:
                await record(everything=True)
            except DomainError as error:
                get_logger().warning("the last reads are not written", reason=type(error).__name__)

    async def _lease(self) -> SigningKeyLease:
        path = "/internal/signing-keys/checkpoints/lease"
        return await self.owners["keys"].call(path, LeaseSigningKey(), SigningKeyLease)

    def projectors_of(self, source: str) -> list[Projector]:
        """Return what turns the facts of `source` into entries, side by side where there are many."""
        lanes = _LANES.get(source, 1)
        return [self._projector_of(source, range(lane, PARTITIONS, lanes)) for lane in range(lanes)]

    def _projector_of(self, source: str, parts: range) -> Projector:
        if source == SERVICE:
            gaps, reports = own_gaps(self.publishing, SERVICE), own_reports(self.publishing, SERVICE)
        else:
            gaps, reports = gaps_of(self.owners[source]), reports_to(self.owners[source])
        return Projector(
            SERVICE,
            source,
            schema=SERVICE,
            database=self.sequencing,
            redis=self.redis,
            apply=fact_door(source, PostgresJournal, self.randomness, self.signs.sequenced),
            fetch_gap=gaps,
            report_cursors=reports,
            clock=self.clock,
            metrics=self.metrics,
            parts=parts,
            lane=Lane.FACTS,
            pace=THRIFTY,
        )

    async def database_answers(self) -> bool:
        """Say whether PostgreSQL answers."""
        async with self.publishing.begin() as tx:
            return await tx.fetch_one("SELECT part FROM audit.outbox_head LIMIT 1") is not None


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
        async with AsyncExitStack() as stack:
            for pool in (world.reading, world.sequencing, world.publishing, world.counting):
                await pool.open()
                stack.push_async_callback(pool.close)
            stack.push_async_callback(world.redis.aclose)
            for client in (*world.owners.values(), *world.counted.values()):
                stack.push_async_callback(client.close)
            stack.push_async_callback(world.end_reads)
            await stack.enter_async_context(background)
            background.keep(world.signed_in.run)
            background.every(lambda: _READS_SECONDS, world.record_denials)
            background.every(lambda: _READS_SECONDS, world.record_reads)
            background.keep(world.publisher.run)
            background.keep(world.integrate.run)
            for source in (*world.owners, SERVICE):
                for projector in world.projectors_of(source):
                    background.keep(projector.run)
            background.every(lambda: world.settings.reconcile_seconds, world.reconcile.go_on)
            yield

    return lifespan
