"""How messaging is put together: a gateway, and the relay that publishes and projects."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from redis.asyncio import Redis

from libs.authn.jwks import JwksKeySource
from libs.authn.redis_announcements import announcements_of
from libs.authn.revocations import (
    Announcement,
    Revocation,
    RevocationFeed,
    RevocationView,
    decode_announcement,
)
from libs.authn.service_tokens import ServiceTokenSigner, ServiceTokenVerifier
from libs.authn.tokens import TokenVerifier
from libs.authz.authorizer import Authorizer
from libs.barrier.door import SOURCE, hold_door
from libs.contracts.asyncapi import asyncapi_document
from libs.contracts.holds import MessagingGenerationConfirmed
from libs.contracts.socket import CloseCode
from libs.contracts.streams import CONSUMERS
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.events.effects import one_by_one
from libs.events.projector import Projector
from libs.events.publisher import Publisher
from libs.host.app import create_app
from libs.host.approvals import approval_routes
from libs.host.background import Background
from libs.host.clients import ServiceClient
from libs.host.outbox import acts_routes, outbox_routes
from libs.host.owners import gaps_of, reports_to
from libs.kernel.clock import Clock, SystemClock
from libs.kernel.denials import Denials
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from libs.telemetry.metrics import Metrics
from services.messaging.adapters.closing_keys import KeyServiceClosingKeys
from services.messaging.adapters.keys import KeyServiceKeys
from services.messaging.adapters.live import RedisLive
from services.messaging.edge import changes, http, imports
from services.messaging.edge.destroyed import destroyed_routes
from services.messaging.edge.internal import entry_routes, map_routes
from services.messaging.edge.problems import PROBLEMS
from services.messaging.edge.socket import Socket
from services.messaging.edge.stream import closing_door, directory_door, order_door
from services.messaging.edge.ws import SocketEdge
from services.messaging.settings import Settings
from services.messaging.store.acts import ACTS
from services.messaging.store.amendments import PostgresAmendments
from services.messaging.store.approvals import PostgresRequests
from services.messaging.store.closings import PostgresClosings, PostgresStatedClosings
from services.messaging.store.denials import PostgresDenials
from services.messaging.store.destroyed import PostgresDestroyed
from services.messaging.store.disposals import PostgresDispositionRuns
from services.messaging.store.dispositions import PostgresDispositionOrders, PostgresReceivedOrders
from services.messaging.store.evidence import PostgresEvidence
from services.messaging.store.heads import PostgresHeads
from services.messaging.store.import_writer import PostgresImportWriter
from services.messaging.store.imports import PostgresImports
from services.messaging.store.log_reader import PostgresLogReader
from services.messaging.store.log_writer import PostgresLogWriter
from services.messaging.store.maps import PostgresMaps
from services.messaging.store.marks import PostgresMarks
from services.messaging.store.months import PostgresMonths
from services.messaging.store.principals import PostgresPrincipals
from services.messaging.usecases.access import Access
from services.messaging.usecases.amend import AmendMessage
from services.messaging.usecases.amendment_rules import GovernAmendments
from services.messaging.usecases.approve import Approve
from services.messaging.usecases.close import CLOSE_SECONDS, CloseKeys
from services.messaging.usecases.commit import GroupCommit, SpreadCommit
from services.messaging.usecases.converse import Converse
from services.messaging.usecases.deliver import Deliver
from services.messaging.usecases.describe import Describe
from services.messaging.usecases.dispose import RUN_SECONDS, CarryOut
from services.messaging.usecases.dispositions import ANSWER_SECONDS, AnswerOrders
from services.messaging.usecases.evidence import TakeEvidence
from services.messaging.usecases.imports import Import
from services.messaging.usecases.maps import CommitMaps, ReadMaps
from services.messaging.usecases.mark import FLUSH_SECONDS, Mark
from services.messaging.usecases.open_socket import OpenSocket
from services.messaging.usecases.prove import ProveEntries
from services.messaging.usecases.read import ReadConversations
from services.messaging.usecases.refer import ReferToEntries
from services.messaging.usecases.seal import Seal
from services.messaging.usecases.send import SendMessage
from services.messaging.usecases.tell_denials import TELL_SECONDS, TellDenials
from services.messaging.usecases.tell_destroyed import TellDestroyed

SERVICE: Final = "messaging"
PREFIX: Final = "/messaging/v1"
_POLICIES = Path(__file__).parents[2] / "policies" / "authz"
_SWEEP_SECONDS = 10.0
_SWEEP_SECONDS_ALONE = 1.0
_HOUSEKEEPING_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Core:
    """The use cases of one gateway, put together; no door is open yet."""

    app_database: TenantDatabase
    writer_database: CrossingDatabase
    live: RedisLive
    deliver: Deliver
    commit: SpreadCommit
    send: SendMessage
    amend: AmendMessage
    govern: GovernAmendments
    converse: Converse
    read: ReadConversations
    take_evidence: TakeEvidence
    imports: Import
    approve: Approve
    mark: Mark
    open_socket: OpenSocket
    tell_denials: TellDenials


def core_of(
    settings: Settings, keys_service: ServiceClient, redis: Redis, clock: Clock, background: Background
) -> Core:
    """Put the use cases of a gateway together; the pools are opened by whoever runs it."""
    randomness = SystemRandomness()
    ids = SystemIds(clock, randomness)
    app_database = TenantDatabase(settings.database, settings.gateway)
    writer_database = CrossingDatabase(settings.database_writer, f"{settings.gateway}-writer", by_key=True)
    reader = PostgresLogReader(app_database)
    keys = KeyServiceKeys(
        keys_service,
        clock,
        randomness,
        max_age_seconds=settings.dek_cache_seconds,
        max_keys=settings.dek_cache_keys,
    )
    authorization = Authorizer(_POLICIES)
    denials = Denials(clock)
    amendments = PostgresAmendments(app_database, ids, clock)
    access = Access(authorization, reader, amendments, denials, clock)
    live = RedisLive(redis, settings.gateway, settings.live_channels)
    deliver = Deliver(reader, keys, live, background.spawn)
    log_writer = PostgresLogWriter(writer_database, ids, clock, audit_facts=settings.audit_facts)
    commit = SpreadCommit(
        [GroupCommit(log_writer, deliver.committed, deliver.find_head) for _ in range(settings.writers)]
    )
    seal = Seal(keys, ids, randomness, clock)
    describe = Describe(reader, keys)
    return Core(
        app_database=app_database,
        writer_database=writer_database,
        live=live,
        deliver=deliver,
        commit=commit,
        send=SendMessage(access, seal, commit, deliver),
        amend=AmendMessage(access, amendments, seal, commit),
        govern=GovernAmendments(access, amendments),
        converse=Converse(access, reader, seal, commit, describe),
        read=ReadConversations(access, authorization, reader, keys, describe),
        take_evidence=TakeEvidence(access, PostgresEvidence(app_database, ids, clock), keys),
        imports=Import(
            access,
            PostgresImports(app_database, ids, clock),
            PostgresImportWriter(writer_database, log_writer, clock),
            keys,
            seal,
            ids,
            clock,
        ),
        approve=Approve(access, PostgresRequests(app_database, ids, clock)),
        mark=Mark(access, deliver, PostgresMarks(writer_database), clock),
        open_socket=OpenSocket(deliver, reader, PostgresHeads(writer_database), authorization),
        tell_denials=TellDenials(denials, PostgresDenials(writer_database, ids, clock)),
    )


@asynccontextmanager
async def running(core: Core, background: Background) -> AsyncIterator[None]:
    """Run the tasks of a gateway: commits, live entries, receipts, and the sweep for what was dropped."""

    async def sweep() -> None:
        await core.open_socket.sweep()
        await core.open_socket.find_joined()

    async with AsyncExitStack() as stack:
        for pool in (core.app_database, core.writer_database):
            await pool.open()
            stack.push_async_callback(pool.close)
        stack.push_async_callback(core.mark.flush)
        stack.push_async_callback(lambda: core.tell_denials.flush(everything=True))
        await stack.enter_async_context(background)
        background.keep(core.live.speak)
        background.keep(lambda: core.live.listen(core.deliver.arrived))
        for writer in core.commit.writers:
            background.keep(writer.run)
        background.every(lambda: FLUSH_SECONDS, core.mark.flush)
        background.every(lambda: TELL_SECONDS, core.tell_denials.flush)
        background.every(lambda: _SWEEP_SECONDS if core.live.listening else _SWEEP_SECONDS_ALONE, sweep)
        yield


def build(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """Return a gateway: the sockets, the HTTP routes, and the writer of the log."""
    clock = clock or SystemClock()
    ids = SystemIds(clock, SystemRandomness())
    background = Background()
    redis = Redis.from_url(settings.redis.reveal())
    signer = ServiceTokenSigner(SERVICE, _seed_of(settings), clock, ids)
    keys_service = ServiceClient(settings.keys_url, "keys", signer)
    identity_service = ServiceClient(settings.identity_url, "identity", signer)
    core = core_of(settings, keys_service, redis, clock, background)
    view = RevocationView(clock)
    feed = _revocation_feed(view, clock, redis, identity_service, core.deliver)
    verifier = TokenVerifier(
        JwksKeySource(lambda: keys_service.fetch_bytes("/keys/v1/jwks.json"), clock), clock
    )
    edge = SocketEdge(
        gateway=settings.gateway,
        verifier=verifier,
        revocations=view,
        send=core.send,
        amend=core.amend,
        mark=core.mark,
        read=core.read,
        open_socket=core.open_socket,
        deliver=core.deliver,
        origins=settings.origins,
        buffer_bytes=settings.socket_buffer_bytes,
        heartbeat_seconds=settings.heartbeat_seconds,
    )

    async def is_fresh() -> bool:
        return view.is_fresh()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for client in (keys_service, identity_service):
                stack.push_async_callback(client.close)
            stack.push_async_callback(redis.aclose)
            await stack.enter_async_context(running(core, background))
            background.keep(feed.run)
            yield

    return create_app(
        SERVICE,
        title="Muniment messaging",
        prefix=PREFIX,
        routers=[
            http.conversation_routes(
                PREFIX,
                verifier=verifier,
                revocations=view,
                converse=core.converse,
                read=core.read,
                ids=ids,
            ),
            changes.change_routes(PREFIX, verifier=verifier, revocations=view, converse=core.converse),
            http.log_routes(
                PREFIX,
                verifier=verifier,
                revocations=view,
                read=core.read,
                send=core.send,
                amend=core.amend,
            ),
            http.rule_routes(PREFIX, verifier=verifier, revocations=view, govern=core.govern),
            http.evidence_routes(
                PREFIX, verifier=verifier, revocations=view, take_evidence=core.take_evidence
            ),
            imports.import_routes(
                PREFIX, verifier=verifier, revocations=view, imports=core.imports, clock=clock
            ),
            approval_routes(PREFIX, verifier=verifier, revocations=view, desk=core.approve, clock=clock),
            edge.routes(PREFIX),
        ],
        problems=PROBLEMS,
        lifespan=lifespan,
        readiness={"revocations": is_fresh, "writers": background.runs},
        describe_socket=asyncapi_document,
        ids=ids,
    )


def build_relay(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """Return the relay: it publishes, projects, answers and carries out dispositions, closes data keys."""
    clock = clock or SystemClock()
    ids = SystemIds(clock, SystemRandomness())
    metrics = Metrics("messaging-relay")
    background = Background()
    redis = Redis.from_url(settings.redis.reveal())
    signer = ServiceTokenSigner(SERVICE, _seed_of(settings), clock, ids)
    owners = {source: ServiceClient(url, source, signer) for source, url in _owners_of(settings).items()}
    publishing = CrossingDatabase(settings.database_publisher, "messaging-publisher", by_key=True)
    projecting = CrossingDatabase(settings.database_projector, "messaging-projector", by_key=True)
    publisher = Publisher(
        publishing, redis, SERVICE, consumers=CONSUMERS[SERVICE], clock=clock, metrics=metrics
    )
    doors = {
        "identity": one_by_one(directory_door(PostgresPrincipals)),
        SOURCE: hold_door(SERVICE, MessagingGenerationConfirmed, clock, ids),
        "retention": one_by_one(order_door(PostgresReceivedOrders, clock)),
        "keys": one_by_one(closing_door(PostgresStatedClosings, clock)),
    }
    dry_run_came, run_came = asyncio.Event(), asyncio.Event()

    def orders_came() -> None:
        dry_run_came.set()
        run_came.set()

    projectors = [
        Projector(
            SERVICE,
            source,
            schema=SERVICE,
            database=projecting,
            redis=redis,
            apply=door,
            fetch_gap=gaps_of(owners[source]),
            report_cursors=reports_to(owners[source]),
            clock=clock,
            metrics=metrics,
            tell=orders_came if source == "retention" else None,
        )
        for source, door in doors.items()
    ]
    months = PostgresMonths(publishing)
    reading = TenantDatabase(settings.database, "messaging-relay")
    answer_orders = AnswerOrders(PostgresDispositionOrders(projecting, reading, clock, ids))
    disposing = CrossingDatabase(settings.database_disposer, "messaging-disposer", by_key=True)
    carry_out = CarryOut(PostgresDispositionRuns(disposing, clock, ids), settings.disposal_items)
    closing = CrossingDatabase(settings.database_closer, "messaging-closer", by_key=True)
    close_keys = CloseKeys(
        PostgresClosings(closing, clock, ids),
        KeyServiceClosingKeys(owners["keys"], SystemRandomness()),
        clock,
        timedelta(seconds=settings.dek_cache_seconds),
        timedelta(seconds=settings.dek_under_way_seconds),
    )
    mapping = CrossingDatabase(settings.database_mapper, "messaging-mapper", by_key=True)
    maps = PostgresMaps(mapping, reading, clock, ids)
    commit_maps = CommitMaps(maps, clock, SystemRandomness())

    async def housekeeping() -> None:
        await publisher.keep_days()
        await months.make_ahead(clock.now().astimezone(UTC).date())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for pool in (publishing, projecting, reading, disposing, closing, mapping):
                await pool.open()
                stack.push_async_callback(pool.close)
            for owner in owners.values():
                stack.push_async_callback(owner.close)
            stack.push_async_callback(redis.aclose)
            await stack.enter_async_context(background)
            background.keep(publisher.run)
            for projector in projectors:
                background.keep(projector.run)
            background.every(lambda: _HOUSEKEEPING_SECONDS, housekeeping)
            background.every(lambda: ANSWER_SECONDS, answer_orders, dry_run_came)
            background.every(lambda: RUN_SECONDS, carry_out, run_came)
            background.every(lambda: CLOSE_SECONDS, close_keys)
            background.every(lambda: settings.map_seconds, commit_maps)
            yield

    return create_app(
        "messaging-relay",
        title="Muniment messaging relay",
        prefix="/messaging-relay/v1",
        routers=[
            outbox_routes(
                SERVICE, publishing, peers := ServiceTokenVerifier(SERVICE, settings.peer_keys, clock)
            ),
            acts_routes(SERVICE, publishing, peers, ACTS),
            entry_routes(
                peers,
                ReferToEntries(PostgresLogReader(reading)),
                ProveEntries(PostgresEvidence(reading, ids, clock)),
            ),
            map_routes(peers, commit_maps, ReadMaps(maps)),
            destroyed_routes(peers, TellDestroyed(PostgresDestroyed(reading))),
        ],
        problems=PROBLEMS,
        lifespan=lifespan,
        readiness={"publisher and projectors": background.runs},
        metrics=metrics,
        ids=ids,
    )


PROCESSES: Final[Mapping[str, Callable[[Settings], FastAPI]]] = {
    SERVICE: build,
    "messaging-relay": build_relay,
}


def _revocation_feed(
    view: RevocationView, clock: Clock, redis: Redis, identity_service: ServiceClient, deliver: Deliver
) -> RevocationFeed:
    """Return what keeps `view` current and closes the sockets of revoked sessions."""

    async def poll(after: int | None) -> Announcement:
        params = {} if after is None else {"after": after}
        return decode_announcement(await identity_service.fetch_bytes("/internal/revocations", params))

    return RevocationFeed(
        view,
        clock,
        subscribe=lambda: announcements_of(redis),
        poll=poll,
        on_revoked=lambda revocation: _close_revoked(deliver, revocation),
        on_lost=lambda: _close_all(deliver),
    )


def _owners_of(settings: Settings) -> dict[str, str]:
    """Return where the services are whose streams the relay projects."""
    return {
        "identity": settings.identity_url,
        SOURCE: settings.holds_url,
        "retention": settings.retention_url,
        "keys": settings.keys_url,
    }


def _seed_of(settings: Settings) -> bytes:
    return base64.b64decode(settings.service_key.reveal())


def _close_revoked(deliver: Deliver, revocation: Revocation) -> None:
    """Close the sockets of a session that was revoked."""
    for socket in deliver.sockets():
        if isinstance(socket, Socket) and socket.session == revocation.session:
            socket.close(CloseCode.REVOKED)


def _close_all(deliver: Deliver) -> None:
    """Close every socket: each proves itself anew, because revocations may have been missed."""
    for socket in deliver.sockets():
        if isinstance(socket, Socket):
            socket.close(CloseCode.TRY_LATER)
