"""Five services in one process on real databases and a real vault; the streams are delivered by hand."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NoReturn, cast
from uuid import UUID
from zipfile import ZipFile

import httpx
import psycopg
from fastapi import FastAPI
from redis.asyncio import Redis

from infra.engines.openbao import AppRole, OpenBaoServer
from libs.authn.actor import Actor
from libs.authn.service_tokens import ServiceTokenSigner, ServiceTokenVerifier, public_key_of
from libs.authz.authorizer import Authorizer
from libs.barrier.door import hold_door
from libs.contracts.holds import CONFIRMATIONS, GenerationConfirmed
from libs.contracts.internal import SigningKeyLease
from libs.contracts.socket import body_of
from libs.db.pool import CrossingDatabase, TenantDatabase, Transaction
from libs.disposition.presets import read_presets
from libs.events.effects import ApplyMany, apply_records, one_by_one
from libs.events.records import StreamRecord
from libs.evidence.certificate.items import parse_item
from libs.evidence.verify import verify_path
from libs.host.app import create_app
from libs.host.clients import ServiceClient
from libs.host.leases import LeasedKey
from libs.kernel.clock import ManualClock
from libs.kernel.denials import Denials
from libs.kernel.ids import ConversationId, DeviceId, MessageId, PrincipalId, SessionId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import Tracing
from services.ediscovery.adapters.correspondence import SealedCorrespondence
from services.ediscovery.adapters.tantivy import TantivyIndex
from services.ediscovery.domain.documents import DELETED, EDITED
from services.ediscovery.edge.stream import index_door
from services.ediscovery.ports.expunges import Expunges
from services.ediscovery.store.expunges import PostgresDueExpunges, PostgresExpunges
from services.ediscovery.store.rebuilds import PostgresNotes, PostgresNotesUnderWay
from services.ediscovery.usecases.current import CurrentIndex
from services.ediscovery.usecases.expunge import ExpungeDestroyed, Settling
from services.ediscovery.usecases.index import IndexMessages
from services.holds.domain.holds import EXECUTORS
from services.holds.edge.stream import confirmation_door
from services.holds.store.confirmations import PostgresConfirmations
from services.holds.store.register import PostgresRegisters
from services.holds.usecases import access as access_of_holds
from services.holds.usecases.place import PlaceHold
from services.holds.usecases.release import ReleaseHold
from services.keys.adapters.openbao import TransitVault, VaultAccess
from services.keys.edge.internal import dek_routes
from services.keys.edge.problems import PROBLEMS
from services.keys.edge.stream import shred_door
from services.keys.store.keystore import PostgresKeystore
from services.keys.store.shredding import shredding_in
from services.keys.usecases.obtain_deks import ObtainDeks
from services.keys.usecases.obtain_fingerprint_key import ObtainFingerprintKey
from services.keys.usecases.retire_deks import RetireDeks
from services.keys.usecases.unwrap_deks import UnwrapDeks
from services.messaging.adapters.closing_keys import KeyServiceClosingKeys
from services.messaging.adapters.keys import KeyServiceKeys
from services.messaging.adapters.live import RedisLive
from services.messaging.domain.bodies import unpacked
from services.messaging.domain.entries import ConversationKey
from services.messaging.domain.errors import KeysUnavailable
from services.messaging.edge.destroyed import destroyed_routes
from services.messaging.edge.internal import entry_routes
from services.messaging.edge.problems import PROBLEMS as PROBLEMS_OF_MESSAGING
from services.messaging.edge.stream import closing_door, order_door
from services.messaging.ports import Closings, DispositionOrders, DispositionRuns, OpenOrder, RunUnderWay
from services.messaging.store.amendments import PostgresAmendments
from services.messaging.store.closings import PostgresClosings, PostgresStatedClosings
from services.messaging.store.destroyed import PostgresDestroyed
from services.messaging.store.disposals import PostgresDispositionRuns
from services.messaging.store.dispositions import PostgresDispositionOrders, PostgresReceivedOrders
from services.messaging.store.evidence import PostgresEvidence
from services.messaging.store.log_reader import PostgresLogReader
from services.messaging.store.log_writer import PostgresLogWriter
from services.messaging.usecases import access as access_of_messaging
from services.messaging.usecases.amend import AmendMessage
from services.messaging.usecases.close import CloseKeys
from services.messaging.usecases.commit import GroupCommit
from services.messaging.usecases.converse import Converse
from services.messaging.usecases.deliver import Deliver
from services.messaging.usecases.describe import Describe
from services.messaging.usecases.dispose import CarryOut
from services.messaging.usecases.dispositions import AnswerOrders
from services.messaging.usecases.entries import open_stored
from services.messaging.usecases.prove import ProveEntries
from services.messaging.usecases.refer import ReferToEntries
from services.messaging.usecases.seal import Seal
from services.messaging.usecases.send import SendMessage
from services.messaging.usecases.tell_destroyed import TellDestroyed
from services.retention.adapters.destroyed import MessagingDestroyed
from services.retention.edge.stream import answer_door
from services.retention.edge.stream import confirmation_door as certificate_confirmation_door
from services.retention.ports.certificates import DueCertificates
from services.retention.store.books import PostgresAnswers, PostgresBooks
from services.retention.store.certificates import PostgresCertificateBooks
from services.retention.store.confirmations import PostgresConfirmations as PostgresStoreConfirmations
from services.retention.store.due_certificates import PostgresDueCertificates
from services.retention.usecases import access as access_of_retention
from services.retention.usecases.certificates import Certificates
from services.retention.usecases.certify import Certify
from services.retention.usecases.orders import Orders
from services.retention.usecases.rules import Erasures, Locks, Rules
from services.retention.usecases.runs import Runs
from tests.integration.certificates.registry import SEED, SIGNED
from tests.integration.keys.service import SEEDS
from tests.integration.retention.office import Logged
from tests.support.engines import ServiceDatabase
from tests.unit.evidence.logs import INSTANCE

NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
SERVICES: Final = ("holds", "retention", "messaging", "keys", "ediscovery")
SEGMENT_ITEMS: Final = 2
"""Items of a certificate's segment: one of some items then takes several transactions."""
MOST_AT_ONCE: Final = 2
"""Items of a batch: a run of some messages then has several transactions."""
RING_AGE: Final = timedelta(seconds=60)
BACKUPS: Final = timedelta(days=7)
CONFIRMED: Final[dict[str, type[GenerationConfirmed]]] = {
    confirmation.name.partition(".")[0]: confirmation for confirmation in CONFIRMATIONS
}


class Crashed(Exception):
    """Planted at the end of a transaction, which is undone."""


def person(tenant: TenantId, number: int, role: str) -> Actor:
    """Return somebody of a tenant."""
    return Actor(
        tenant=tenant,
        principal=PrincipalId(UUID(int=100 + number)),
        session=SessionId(UUID(int=200 + number)),
        device=DeviceId(UUID(int=300 + number)),
        roles=frozenset([role]),
        expires_at=datetime(2099, 1, 1, tzinfo=UTC),
    )


@dataclass
class Link:
    """The stream of one service into another: it moves when it is told to, and in order."""

    source: str
    consumer: str
    outbox: "psycopg.AsyncConnection[Any]"
    pool: CrossingDatabase
    apply: ApplyMany
    reached: dict[tuple[TenantId, int], int] = field(default_factory=dict)

    async def _records(self, tenant: TenantId) -> list[StreamRecord]:
        cursor = await self.outbox.execute(
            f"SELECT part, position, tenant, name, body FROM {self.source}.outbox"
            f" WHERE tenant = %s AND name <> '{self.source}.fact.recorded.v1'"
            f" ORDER BY part, position".encode(),
            (tenant,),
        )
        return [
            StreamRecord(part, position, TenantId(owner), name, bytes(body))
            for part, position, owner, name, body in await cursor.fetchall()
        ]

    async def waiting(self, tenant: TenantId) -> list[StreamRecord]:
        """Return what was not delivered yet."""
        return [
            record
            for record in await self._records(tenant)
            if record.position > self.reached.get((tenant, record.part), 0)
        ]

    async def deliver(self, tenant: TenantId, most: int, *, crashing: bool = False) -> int:
        """Deliver the next events in one transaction, which is undone if it crashes; return how many."""
        records = (await self.waiting(tenant))[:most]
        if records:
            await self._take_in(records, crashing=crashing)
        if records and not crashing:
            self.reached.update({(tenant, record.part): record.position for record in records})
        return len(records)

    async def replay(self, tenant: TenantId, last: int) -> None:
        """Deliver once more what was delivered last."""
        known = [
            record
            for record in await self._records(tenant)
            if record.position <= self.reached.get((tenant, record.part), 0)
        ]
        if known:
            await self._take_in(known[-last:])

    async def _take_in(self, records: Sequence[StreamRecord], *, crashing: bool = False) -> None:
        with suppress(Crashed):
            async with self.pool.begin() as tx:
                await apply_records(self.apply, tx, records)
                if crashing:
                    raise Crashed


class Ours:
    """What waits of one tenant alone; a transaction on one of them crashes at its end if told so."""

    def __init__(
        self, inner: DispositionOrders | DispositionRuns | Closings | Expunges | DueCertificates
    ) -> None:
        """Stand before `inner`."""
        self._inner: Any = inner
        self.tenant: TenantId
        self.crashing = False
        self.gate: asyncio.Event | None = None
        self.at_gate = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def waiting(self) -> list[tuple[TenantId, UUID]]:
        """Return what waits of the tenant."""
        return [each for each in await self._inner.waiting() if each[0] == self.tenant]

    async def tenants(self) -> Mapping[TenantId, int]:
        """Return how much waits of the tenant, if anything does."""
        waiting: Mapping[TenantId, int] = await self._inner.tenants()
        return {each: count for each, count in waiting.items() if each == self.tenant}

    @asynccontextmanager
    async def begin(self, tenant: TenantId) -> AsyncIterator[Any]:
        """Begin a transaction."""
        async with self._inner.begin(tenant) as begun:
            yield begun
            if self.crashing:
                raise Crashed

    @asynccontextmanager
    async def open(self, tenant: TenantId, order: UUID) -> AsyncIterator[Any]:
        """Open one; with a gate, what it destroys waits before it, and its transaction stays open."""
        async with self._inner.open(tenant, order) as opened:
            yield opened if opened is None or self.gate is None else AtGate(opened, self.gate, self.at_gate)
            if self.crashing:
                raise Crashed


class AtGate:
    """A run, or an order, that stands still before it disposes of anything."""

    def __init__(self, inner: RunUnderWay | OpenOrder, gate: asyncio.Event, at_gate: asyncio.Event) -> None:
        """Wait for `gate`, and say by `at_gate` that it waits."""
        self._inner: Any = inner
        self._gate = gate
        self._at_gate = at_gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def dispose(self, *arguments: Any) -> None:
        """Dispose of a batch, when the gate opens."""
        self._at_gate.set()
        await self._gate.wait()
        await self._inner.dispose(*arguments)


@dataclass
class House:
    """The services, their links, and looks behind them."""

    clock: ManualClock
    ids: SystemIds
    looks: dict[str, "psycopg.AsyncConnection[Any]"]
    place: PlaceHold
    release: ReleaseHold
    rules: Rules
    locks: Locks
    erasures: Erasures
    orders: Orders
    runs: Runs
    converse: Converse
    send: SendMessage
    amend: AmendMessage
    reader: PostgresLogReader
    answer_orders: AnswerOrders
    carry_out: CarryOut
    close_keys: CloseKeys
    expunge: ExpungeDestroyed
    certify: Certify
    certificates: Certificates
    index: CurrentIndex
    engine: TantivyIndex
    answering: Ours
    carrying: Ours
    closing: Ours
    expunging: Ours
    certifying: Ours
    links: list[Link]
    fresh_keys: Callable[[], KeyServiceKeys]

    def link(self, source: str, consumer: str) -> Link:
        """Return one stream."""
        (found,) = (each for each in self.links if (each.source, each.consumer) == (source, consumer))
        return found

    async def rows(self, service: str, statement: str, *parameters: object) -> list[Any]:
        """Read rows as the administrator of a service's database."""
        cursor = await self.looks[service].execute(statement.encode(), parameters)
        return await cursor.fetchall()

    async def words(self, tenant: TenantId) -> frozenset[str]:
        """Return the words of a tenant's index, as they lie in the files; its marks are no words."""
        return frozenset(await self.engine.terms(tenant)) - {EDITED, DELETED}

    async def certified(self, reader: Actor, certificate: UUID) -> dict[UUID, set[int]]:
        """Take a certificate as its readers do, check it as a stranger does, and return its items.

        Raises EvidenceRefused for one that does not hold, or names an item twice.
        """
        pieces = [piece async for piece in await self.certificates.download(reader, certificate)]
        named: dict[UUID, set[int]] = {}
        with TemporaryDirectory() as folder:
            file = Path(folder) / "certificate.zip"
            file.write_bytes(b"".join(pieces))
            verify_path(file, SIGNED)
            with ZipFile(file) as whole:
                segments = [whole.read(name) for name in whole.namelist() if name.startswith("items/")]
        for line in b"".join(segments).splitlines():
            item = parse_item(line, "items")
            named.setdefault(item.conversation, set()).add(item.seq)
        return named

    async def somebody_waits(self) -> bool:
        """Say whether a transaction of messaging waits for a row that another one holds."""
        waiting = (
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(await self.rows("messaging", waiting))

    async def know(self, *actors: Actor) -> None:
        """Put people into messaging's copy of the directory, as identity's events would."""
        for actor in actors:
            await self.looks["messaging"].execute(
                "INSERT INTO messaging.principal VALUES (%s, %s, true)", (actor.tenant, actor.principal)
            )

    async def shown(self, tenant: TenantId, room: UUID) -> dict[int, str | None]:
        """Return what readers are shown of a conversation's messages, by keys fetched anew."""
        key = ConversationKey(tenant, ConversationId(room))
        stored = await self.reader.entries(key, 0, 9999, 9999)
        entries = await open_stored(key, stored, self.fresh_keys())
        return {
            each.seq: None
            if (shown := each.body if each.current is None else each.current.body) is None
            else shown.text
            for each in entries
            if each.kind == "message_created"
        }

    async def opened(self, tenant: TenantId, room: UUID) -> dict[int, str | None]:
        """Open every payload of a conversation, hidden ones too, by keys fetched anew."""
        rows = await self.rows(
            "messaging",
            "SELECT p.seq, e.message, e.revision, p.sealed FROM messaging.payload p JOIN messaging.entry e"
            " USING (tenant, conversation, seq) WHERE p.tenant = %s AND p.conversation = %s",
            tenant,
            room,
        )
        keys, key = self.fresh_keys(), ConversationKey(tenant, ConversationId(room))
        await keys.fetch_opening_keys(tenant, [bytes(sealed) for *_, sealed in rows])
        texts: dict[int, str | None] = {}
        for seq, message, revision, sealed in rows:
            opening = keys.find_opening_key(bytes(sealed))
            if opening is None:
                raise KeysUnavailable
            clear = opening.open(bytes(sealed), key, MessageId(message), revision)
            texts[seq] = body_of(unpacked(clear).body).text
        return texts


def _nobody(*_: object) -> NoReturn:
    raise AssertionError("nothing is delivered live here")


@asynccontextmanager
async def house_of(
    databases: Mapping[str, ServiceDatabase], bao: OpenBaoServer, role: AppRole, folder: Path
) -> AsyncIterator[House]:
    """Open everything on these databases, by service, with an index in `folder`; close it afterwards."""
    clock = ManualClock(NOON)
    randomness = SystemRandomness()
    ids = SystemIds(clock, randomness)
    async with AsyncExitStack() as stack:

        async def tenant_pool(name: str) -> TenantDatabase:
            pool = TenantDatabase(databases[name].dsn(f"{name}_app"), name)
            await pool.open()
            stack.push_async_callback(pool.close)
            return pool

        async def crossing_pool(name: str, role_name: str) -> CrossingDatabase:
            dsn = databases[name].dsn(f"{name}_{role_name}")
            pool = CrossingDatabase(dsn, f"{name}-{role_name}", by_key=True)
            await pool.open()
            stack.push_async_callback(pool.close)
            return pool

        looks = {
            name: await stack.enter_async_context(
                await psycopg.AsyncConnection.connect(database.admin_dsn.reveal(), autocommit=True)
            )
            for name, database in databases.items()
        }
        apps = {name: await tenant_pool(name) for name in SERVICES}
        projecting = {name: await crossing_pool(name, "projector") for name in SERVICES}
        authorizer, denials = Authorizer(Path("policies/authz")), Denials(clock)

        # keys, behind its own routes
        vault = TransitVault(VaultAccess(bao.address, role.role_id, role.secret_id), clock, Metrics("keys"))
        stack.push_async_callback(vault.close)
        keystore = PostgresKeystore(apps["keys"], clock, ids, Tracing("keys"))
        obtain = ObtainDeks(keystore, vault, ids, randomness)
        peers = {
            name: base64.b64encode(public_key_of(SEEDS[name])).decode()
            for name in ("messaging", "ediscovery", "retention")
        }
        of_tokens = ManualClock(NOON)  # not moved back, as the other is at the beginning of each life
        verifier = ServiceTokenVerifier("keys", peers, of_tokens)
        routes = dek_routes(
            verifier,
            obtain,
            UnwrapDeks(keystore, vault),
            ObtainFingerprintKey(obtain),
            RetireDeks(keystore),
        )
        app = create_app("keys", title="Trial", prefix="/keys/v1", routers=[routes], problems=PROBLEMS)

        async def client_of(app: FastAPI, target: str, caller: str) -> ServiceClient:
            return await stack.enter_async_context(
                ServiceClient(
                    f"http://{target}:1",
                    target,
                    ServiceTokenSigner(caller, SEEDS[caller], of_tokens, ids),
                    transport=httpx.ASGITransport(app, raise_app_exceptions=False),
                )
            )

        client = await client_of(app, "keys", "messaging")

        def fresh_keys() -> KeyServiceKeys:
            return KeyServiceKeys(
                client, clock, randomness, max_age_seconds=RING_AGE.total_seconds(), max_keys=1000
            )

        # messaging
        reader = PostgresLogReader(apps["messaging"])
        writer = PostgresLogWriter(await crossing_pool("messaging", "writer"), ids, clock)
        commit = GroupCommit(writer, lambda _: None, lambda _: None)
        committing = asyncio.create_task(commit.run())
        stack.callback(committing.cancel)
        amendments = PostgresAmendments(apps["messaging"], ids, clock)
        access = access_of_messaging.Access(authorizer, reader, amendments, denials, clock)
        keys = fresh_keys()
        seal = Seal(keys, ids, randomness, clock)
        live = RedisLive(Redis(), "gw-1", 1)
        answering = Ours(PostgresDispositionOrders(projecting["messaging"], apps["messaging"], clock, ids))
        carrying = Ours(PostgresDispositionRuns(await crossing_pool("messaging", "disposer"), clock, ids))
        closing = Ours(PostgresClosings(await crossing_pool("messaging", "closer"), clock, ids))

        # messaging's routes for those who index, and who certify
        referring = ServiceTokenVerifier("messaging", peers, of_tokens)
        relay = create_app(
            "messaging-relay",
            title="Trial",
            prefix="/messaging-relay/v1",
            routers=[
                entry_routes(
                    referring,
                    ReferToEntries(reader),
                    ProveEntries(PostgresEvidence(apps["messaging"], ids, clock)),
                ),
                destroyed_routes(referring, TellDestroyed(PostgresDestroyed(apps["messaging"]))),
            ],
            problems=PROBLEMS_OF_MESSAGING,
        )

        # ediscovery
        correspondence = SealedCorrespondence(
            await client_of(relay, "messaging", "ediscovery"),
            await client_of(app, "keys", "ediscovery"),
            clock,
            max_age_seconds=RING_AGE.total_seconds(),
            max_keys=1000,
        )
        engine = TantivyIndex(folder, correspondence)
        index = CurrentIndex(lambda _: engine, PostgresNotes(apps["ediscovery"]))
        expunging = Ours(PostgresExpunges(projecting["ediscovery"], clock, ids))

        # holds and retention
        registers, books = (
            PostgresRegisters(apps["holds"], clock, ids),
            PostgresBooks(apps["retention"], clock, ids),
        )
        to_holds = access_of_holds.Access(authorizer, denials)
        to_retention = access_of_retention.Access(authorizer, denials)
        presets = {preset.name: preset for preset in read_presets(Path("policies/retention"))}

        certifying = Ours(PostgresDueCertificates(projecting["retention"]))
        certificates = PostgresCertificateBooks(apps["retention"], clock, ids)
        signing = SigningKeyLease(kid="z", private=SEED, not_after=datetime(2099, 1, 1, tzinfo=UTC))

        async def lease() -> SigningKeyLease:
            return signing

        def confirmations_in(tx: Transaction) -> PostgresConfirmations:
            return PostgresConfirmations(tx, clock, ids)

        def answers_in(tx: Transaction) -> PostgresAnswers:
            return PostgresAnswers(tx, clock, ids)

        doors: dict[tuple[str, str], ApplyMany] = {
            ("retention", "messaging"): one_by_one(order_door(PostgresReceivedOrders, clock)),
            ("messaging", "retention"): one_by_one(answer_door("messaging", answers_in, clock, ids)),
            ("messaging", "keys"): shred_door(lambda tx: shredding_in(tx, clock, ids), clock, BACKUPS),
            ("keys", "messaging"): one_by_one(closing_door(PostgresStatedClosings, clock)),
            ("messaging", "ediscovery"): index_door(
                IndexMessages(lambda _: engine, correspondence, clock),
                PostgresNotesUnderWay,
                PostgresDueExpunges,
            ),
        }
        for store in ("ediscovery", "keys"):
            stores = certificate_confirmation_door(store, PostgresStoreConfirmations, clock)
            doors[store, "retention"] = one_by_one(stores)
        pools = {("messaging", "keys"): await crossing_pool("keys", "shredder")}
        for name in EXECUTORS:
            doors["holds", name] = hold_door(name, CONFIRMED[name], clock, ids)
            doors[name, "holds"] = confirmation_door(name, confirmations_in, clock, ids)

        yield House(
            clock=clock,
            ids=ids,
            looks=looks,
            place=PlaceHold(registers, to_holds, clock, ids),
            release=ReleaseHold(registers, to_holds, clock, ids),
            rules=Rules(books, to_retention, presets, clock, ids),
            locks=Locks(books, to_retention, clock, ids),
            erasures=Erasures(books, to_retention, clock, ids),
            orders=Orders(books, to_retention, presets, clock, ids),
            runs=Runs(books, to_retention, clock, ids),
            converse=Converse(access, reader, seal, commit, Describe(reader, keys)),
            send=SendMessage(access, seal, commit, Deliver(reader, keys, live, _nobody)),
            amend=AmendMessage(access, amendments, seal, commit),
            reader=reader,
            answer_orders=AnswerOrders(cast("DispositionOrders", answering)),
            carry_out=CarryOut(cast("DispositionRuns", carrying), most=MOST_AT_ONCE),
            close_keys=CloseKeys(
                cast("Closings", closing), KeyServiceClosingKeys(client, randomness), clock, RING_AGE
            ),
            expunge=ExpungeDestroyed(index, cast("Expunges", expunging), clock, ids, Settling(0)),
            certify=Certify(
                cast("DueCertificates", certifying),
                certificates,
                MessagingDestroyed(await client_of(relay, "messaging", "retention")),
                LeasedKey(lease, clock),
                INSTANCE,
                clock,
                ids,
                segment_items=SEGMENT_ITEMS,
            ),
            certificates=Certificates(certificates, to_retention, Logged(databases["retention"])),
            index=index,
            engine=engine,
            answering=answering,
            carrying=carrying,
            closing=closing,
            expunging=expunging,
            certifying=certifying,
            links=[
                Link(
                    source,
                    consumer,
                    looks[source],
                    pools.get((source, consumer), projecting[consumer]),
                    door,
                )
                for (source, consumer), door in sorted(doors.items())
            ],
            fresh_keys=fresh_keys,
        )
