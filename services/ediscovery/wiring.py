"""How eDiscovery is put together: it indexes what messaging commits, and answers those who search."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Final, NamedTuple

from fastapi import APIRouter, FastAPI

from libs.authz.authorizer import Authorizer
from libs.barrier.door import SOURCE as HOLDS
from libs.barrier.door import hold_door
from libs.contracts.holds import EdiscoveryGenerationConfirmed
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.events.projector import THRIFTY
from libs.host.app import Lifespan, create_app
from libs.host.approvals import approval_routes
from libs.host.background import Background
from libs.host.footing import Footing
from libs.host.outbox import acts_routes, outbox_routes
from libs.kernel.clock import Clock, SystemClock
from libs.kernel.errors import DomainError
from libs.telemetry.logs import get_logger
from services.ediscovery.adapters.backlog import StreamBacklog, cursors_of
from services.ediscovery.adapters.correspondence import SealedCorrespondence
from services.ediscovery.adapters.directory import IdentityDirectory
from services.ediscovery.adapters.production_sources import ServiceSources
from services.ediscovery.adapters.prometheus import IndexSigns
from services.ediscovery.adapters.refused_keys import ServiceKeysRefused
from services.ediscovery.adapters.retry import RetryWaiting
from services.ediscovery.adapters.tantivy import TantivyIndex
from services.ediscovery.adapters.workshop import FolderWorkshop
from services.ediscovery.edge.http import PREFIX, lag_routes
from services.ediscovery.edge.matters import matter_routes
from services.ediscovery.edge.operator import operator_routes
from services.ediscovery.edge.problems import PROBLEMS
from services.ediscovery.edge.productions import production_routes
from services.ediscovery.edge.stream import SOURCE, index_door
from services.ediscovery.ports.engine import Engine
from services.ediscovery.settings import Settings
from services.ediscovery.store.acts import ACTS
from services.ediscovery.store.books import PostgresBooks
from services.ediscovery.store.expunges import PostgresDueExpunges, PostgresExpunges
from services.ediscovery.store.production_queue import PostgresQueue
from services.ediscovery.store.rebuilds import PostgresNotes, PostgresNotesUnderWay, PostgresRebuilds
from services.ediscovery.store.waiting import PostgresWaitingTenants
from services.ediscovery.usecases.access import Access
from services.ediscovery.usecases.current import CurrentIndex, Generations
from services.ediscovery.usecases.denials import TellDenials
from services.ediscovery.usecases.engine import WatchEngine
from services.ediscovery.usecases.expunge import ExpungeDestroyed, Settling
from services.ediscovery.usecases.index import IndexMessages
from services.ediscovery.usecases.lag import MeasureLag
from services.ediscovery.usecases.matters import Matters
from services.ediscovery.usecases.produce import MakeProductions, Progress
from services.ediscovery.usecases.productions import ProductionRequests, Productions
from services.ediscovery.usecases.rebuild import (
    BacklogWithRebuilds,
    NoticeLostIndexes,
    OrderRebuilds,
    RebuildIndexes,
)
from services.ediscovery.usecases.remove import REMOVE_SECONDS, RemoveProductions
from services.ediscovery.usecases.revoked import ASKED, DropRevoked, Refusals
from services.ediscovery.usecases.search import SearchMatter
from services.ediscovery.usecases.understand import UnderstandQuery

SERVICE: Final = "ediscovery"
POLICIES: Final = Path(__file__).parents[2] / "policies" / "authz"
_DENIALS_SECONDS: Final = 5.0
_LAG_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 10.0
_EXPUNGE_SECONDS: Final = 2.0
_PRODUCTION_SECONDS: Final = 1.0
_PEER_SECONDS: Final = 60.0
"""How long a peer may take for a page of a production: these are large, and nobody waits for one."""
_REBUILD_SECONDS: Final = 2.0
_ENGINE_SECONDS: Final = 5.0


class Searching(NamedTuple):
    """The engine of the index, the indexes in it, and how to let go of it.

    `former` are the places where an earlier engine may have left words: what is taken away is taken away
    there, too.
    """

    engine: Engine
    generations: Generations
    former: Sequence[Generations]
    close: Callable[[], None]


def searching_by(settings: Settings, correspondence: SealedCorrespondence) -> Searching:
    """Return the engine that the settings name; the module of OpenSearch is loaded where that is told of.

    Each generation has a place of its own, the first one that of the engine itself.
    """
    folder = Path(settings.index_folder)
    in_folder = cache(
        lambda number: TantivyIndex(folder / f"g{number}" if number else folder, correspondence)
    )
    if settings.search == "tantivy":
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not settings.opensearch_url:
        return Searching(in_folder(0), in_folder, (), lambda: None)
    from services.ediscovery.adapters.opensearch import (  # noqa: PLC0415 - only who uses it pays for it
        OpenSearchIndex,
        connected,
    )

    client = connected(
        settings.opensearch_url,
        settings.opensearch_user,
        settings.opensearch_password,
        settings.opensearch_ca,
    )
    in_cluster = cache(
        lambda number: OpenSearchIndex(client, prefix=f"muniment-g{number}" if number else "muniment")
    )
    if settings.search == "tantivy":
        return Searching(in_folder(0), in_folder, [in_cluster], client.close)
    former = [in_folder] if settings.index_folder else []
    return Searching(in_cluster(0), in_cluster, former, client.close)


class _World(Footing):
    """What the process reaches beside what every service stands on: its index and workshop, too."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        urls = {
            "audit": settings.audit_url,
            "identity": settings.identity_url,
            "keys": settings.keys_url,
            SOURCE: settings.messaging_url,
            HOLDS: settings.holds_url,
        }
        super().__init__(SERVICE, settings, clock, urls)
        self.database = TenantDatabase(settings.database, SERVICE)
        self.projecting = CrossingDatabase(settings.database_projector, f"{SERVICE}-projector", by_key=True)
        self.correspondence = SealedCorrespondence(
            self.owners[SOURCE],
            self.owners["keys"],
            clock,
            max_age_seconds=settings.dek_cache_seconds,
            max_keys=settings.dek_cache_keys,
        )
        self.searching = searching_by(settings, self.correspondence)
        self.generations = self.searching.generations
        notes = PostgresNotes(self.database)
        self.index = CurrentIndex(self.generations, notes)
        self.rebuilds = PostgresRebuilds(self.projecting, clock, self.ids)
        signs = IndexSigns(self.metrics)
        self.watch_engine = WatchEngine(self.searching.engine, signs)
        self.notice_lost = NoticeLostIndexes(self.generations, self.rebuilds, notes, signs, clock, self.ids)
        self.rebuild = RebuildIndexes(
            self.generations,
            self.rebuilds,
            self.correspondence,
            self.correspondence,
            clock,
            self.ids,
            self.searching.former,
        )
        self.revoked_seconds = settings.revoked_seconds
        self.drop_revoked = DropRevoked(
            self.generations,
            self.rebuilds,
            notes,
            ServiceKeysRefused(self.owners["keys"]),
            Refusals(timedelta(seconds=settings.revoked_seconds)),
            clock,
            self.ids,
        )
        self.books = PostgresBooks(self.database, clock, self.ids)
        self.access = Access(Authorizer(POLICIES), self.denials)
        self.tell_denials = TellDenials(self.books, self.denials, self.ids)
        self.indexer = self.projector(
            SOURCE,
            self.projecting,
            index_door(
                IndexMessages(self.generations, self.correspondence, clock),
                PostgresNotesUnderWay,
                PostgresDueExpunges,
            ),
            pace=THRIFTY,
        )
        self.holds = self.projector(
            HOLDS, self.projecting, hold_door(SERVICE, EdiscoveryGenerationConfirmed, clock, self.ids)
        )
        expunges = PostgresExpunges(self.projecting, clock, self.ids)
        self.expunge = ExpungeDestroyed(self.index, expunges, clock, self.ids, Settling())
        asked = self.clients(_PEER_SECONDS)
        self.sources = ServiceSources(asked[SOURCE], asked["audit"], asked["identity"], self.correspondence)
        self.workshop = FolderWorkshop(Path(settings.productions_folder))
        self.progress = Progress()
        self.make_productions = MakeProductions(
            self.books,
            PostgresQueue(self.projecting),
            self.sources,
            self.workshop,
            self.leased_key("productions"),
            self.progress,
            clock,
            self.ids,
            settings.instance,
        )
        self.kept = timedelta(days=settings.production_days)
        self.remove_productions = RemoveProductions(
            self.books, PostgresQueue(self.projecting), self.workshop, clock, self.ids, self.kept
        )
        self.retry = RetryWaiting(self.indexer, PostgresWaitingTenants(self.projecting, SERVICE, SOURCE))
        self.lag = MeasureLag(
            BacklogWithRebuilds(
                StreamBacklog(self.owners[SOURCE], cursors_of(self.projecting, SERVICE, SERVICE, SOURCE)),
                self.rebuilds,
            ),
            signs,
            clock,
            self.access,
        )

    async def make_whole(self) -> None:
        """Notice indexes that are lost, and go on with those that are made anew."""
        await self.notice_lost()
        await self.rebuild()

    async def look_at_engine(self) -> None:
        """Show whether the search engine answers."""
        await self.watch_engine()

    async def measure_lag(self) -> None:
        """Measure the lag; when messaging is away, it is measured again soon."""
        try:
            await self.lag()
        except DomainError as error:
            get_logger().info("the lag cannot be measured", reason=type(error).__name__)


def build(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """Return eDiscovery's process; it connects when it starts. `clock` stands for the machine's."""
    world = _World(settings, clock or SystemClock())
    background = Background()
    return create_app(
        SERVICE,
        title="Muniment eDiscovery",
        prefix=PREFIX,
        routers=[
            *_routes_for_people(world),
            operator_routes(
                world.peers, OrderRebuilds(world.rebuilds, world.clock, world.ids), world.watch_engine
            ),
            acts_routes(SERVICE, world.publishing, world.peers, ACTS),
            outbox_routes(SERVICE, world.publishing, world.peers),
        ],
        problems=PROBLEMS,
        lifespan=_lifespan(world, background),
        readiness={
            "database": world.database_answers,
            "revocations": world.signed_in.is_fresh,
            "publisher and indexer": background.runs,
        },
        metrics=world.metrics,
        ids=world.ids,
        clock=world.clock,
    )


PROCESSES: Final[Mapping[str, Callable[[Settings], FastAPI]]] = {SERVICE: build}


def _routes_for_people(world: _World) -> list[APIRouter]:
    verifier, revocations = world.signed_in.verifier, world.signed_in.revocations
    understand = UnderstandQuery(IdentityDirectory(world.owners["identity"]))
    search = SearchMatter(
        world.books, world.access, understand, world.index, world.correspondence, world.clock, world.ids
    )
    return [
        lag_routes(verifier=verifier, revocations=revocations, lag=world.lag),
        matter_routes(
            verifier=verifier,
            revocations=revocations,
            matters=Matters(world.books, world.access, world.clock, world.ids),
            search=search,
        ),
        production_routes(
            verifier=verifier,
            revocations=revocations,
            productions=Productions(
                world.books,
                world.access,
                world.sources,
                world.workshop,
                world.progress,
                world.clock,
                world.ids,
                world.kept,
            ),
            clock=world.clock,
        ),
        approval_routes(
            PREFIX,
            verifier=verifier,
            revocations=revocations,
            desk=ProductionRequests(world.books, world.access, world.clock, world.ids),
            clock=world.clock,
        ),
    ]


def _lifespan(world: _World, background: Background) -> Lifespan:
    """Return what happens around serving: connect, publish, index, measure, and let go of it all."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        pools = (world.database, world.projecting)
        last = [partial(world.tell_denials, everything=True)]
        with closing(world.searching):
            async with world.standing(background, pools, last):
                background.keep(world.indexer.run)
                background.keep(world.holds.run)
                background.every(lambda: _DENIALS_SECONDS, world.tell_denials)
                background.every(lambda: _LAG_SECONDS, world.measure_lag)
                background.every(lambda: _ENGINE_SECONDS, world.look_at_engine)
                background.every(lambda: _RETRY_SECONDS, world.retry)
                background.every(lambda: _EXPUNGE_SECONDS, world.expunge)
                background.every(lambda: _PRODUCTION_SECONDS, world.make_productions)
                background.every(lambda: REMOVE_SECONDS, world.remove_productions)
                background.every(lambda: _REBUILD_SECONDS, world.make_whole)
                background.every(lambda: world.revoked_seconds / ASKED, world.drop_revoked)
                yield

    return lifespan
