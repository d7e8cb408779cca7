"""Five services in one process on real databases and a real vault; the streams are delivered by hand."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn, cast
from uuid import UUID

import httpx
import psycopg
from redis.asyncio import Redis

from infra.engines.openbao import AppRole, OpenBaoServer
from libs.authn.actor import Actor
from libs.authn.service_tokens import ServiceTokenSigner, ServiceTokenVerifier, public_key_of
from libs.authz.authorizer import Authorizer
from libs.barrier.door import hold_door
from libs.contracts.holds import CONFIRMATIONS, GenerationConfirmed
from libs.contracts.socket import body_of
from libs.db.pool import CrossingDatabase, TenantDatabase, Transaction
from libs.disposition.presets import read_presets
from libs.events.effects import ApplyMany, apply_records, one_by_one
from libs.events.records import StreamRecord
from libs.host.app import create_app
from libs.host.clients import ServiceClient
from libs.kernel.clock import ManualClock
from libs.kernel.denials import Denials
from libs.kernel.ids import ConversationId, DeviceId, MessageId, PrincipalId, SessionId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import Tracing
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
from services.messaging.edge.stream import closing_door, order_door
from services.messaging.ports import Closings, DispositionOrders, DispositionRuns, OpenOrder, RunUnderWay
from services.messaging.store.amendments import PostgresAmendments
from services.messaging.store.closings import PostgresClosings, PostgresStatedClosings
from services.messaging.store.disposals import PostgresDispositionRuns
from services.messaging.store.dispositions import PostgresDispositionOrders, PostgresReceivedOrders
from services.messaging.store.log_reader import PostgresLogReader
from services.messaging.store.log_writer import PostgresLogWriter
from services.messaging.usecases import access as access_of_messaging
from services.messaging.usecases.close import CloseKeys
from services.messaging.usecases.commit import GroupCommit
from services.messaging.usecases.converse import Converse
from services.messaging.usecases.deliver import Deliver
from services.messaging.usecases.dispose import CarryOut
from services.messaging.usecases.dispositions import AnswerOrders
from services.messaging.usecases.entries import open_stored
from services.messaging.usecases.seal import Seal
from services.messaging.usecases.send import SendMessage
from services.retention.edge.stream import answer_door
from services.retention.store.books import PostgresAnswers, PostgresBooks
from services.retention.usecases import access as access_of_retention
from services.retention.usecases.orders import Orders
from services.retention.usecases.rules import Erasures, Locks, Rules
from services.retention.usecases.runs import Runs
from tests.integration.keys.service import SEEDS
from tests.support.engines import ServiceDatabase

NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
SERVICES: Final = ("holds", "retention", "messaging", "keys", "ediscovery")
"""eDiscovery takes part in the barrier alone: its index is proved elsewhere."""
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
    """The orders or runs of one tenant alone; a transaction on one of them crashes at its end if told so."""

    def __init__(self, inner: DispositionOrders | DispositionRuns | Closings) -> None:
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
    reader: PostgresLogReader
    answer_orders: AnswerOrders
    carry_out: CarryOut
    close_keys: CloseKeys
    answering: Ours
    carrying: Ours
    closing: Ours
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
            each.seq: None if each.body is None else each.body.text
            for each in entries
            if each.kind == "message_created"
        }

    async def opened(self, tenant: TenantId, room: UUID) -> dict[int, str | None]:
        """Open every payload of a conversation, hidden ones too, by keys fetched anew."""
        rows = await self.rows(
            "messaging",
            "SELECT p.seq, e.message, p.sealed FROM messaging.payload p JOIN messaging.entry e"
            " USING (tenant, conversation, seq) WHERE p.tenant = %s AND p.conversation = %s",
            tenant,
            room,
        )
        keys, key = self.fresh_keys(), ConversationKey(tenant, ConversationId(room))
        await keys.fetch_opening_keys(tenant, [bytes(sealed) for _, _, sealed in rows])
        texts: dict[int, str | None] = {}
        for seq, message, sealed in rows:
            opening = keys.find_opening_key(bytes(sealed))
            if opening is None:
                raise KeysUnavailable
            texts[seq] = body_of(unpacked(opening.open(bytes(sealed), key, MessageId(message), 0)).body).text
        return texts


def _nobody(*_: object) -> NoReturn:
    raise AssertionError("nothing is delivered live here")


@asynccontextmanager
async def house_of(
    databases: Mapping[str, ServiceDatabase], bao: OpenBaoServer, role: AppRole
) -> AsyncIterator[House]:
    """Open everything on these databases, by service, and close it afterwards."""
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
        peers = {"messaging": base64.b64encode(public_key_of(SEEDS["messaging"])).decode()}
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
        client = await stack.enter_async_context(
            ServiceClient(
                "http://keys:1",
                "keys",
                ServiceTokenSigner("messaging", SEEDS["messaging"], of_tokens, ids),
                transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            )
        )

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

        # holds and retention
        registers, books = (
            PostgresRegisters(apps["holds"], clock, ids),
            PostgresBooks(apps["retention"], clock, ids),
        )
        to_holds = access_of_holds.Access(authorizer, denials)
        to_retention = access_of_retention.Access(authorizer, denials)
        presets = {preset.name: preset for preset in read_presets(Path("policies/retention"))}

        def confirmations_in(tx: Transaction) -> PostgresConfirmations:
            return PostgresConfirmations(tx, clock, ids)

        def answers_in(tx: Transaction) -> PostgresAnswers:
            return PostgresAnswers(tx, clock, ids)

        doors: dict[tuple[str, str], ApplyMany] = {
            ("retention", "messaging"): one_by_one(order_door(PostgresReceivedOrders, clock)),
            ("messaging", "retention"): one_by_one(answer_door("messaging", answers_in, clock, ids)),
            ("messaging", "keys"): shred_door(lambda tx: shredding_in(tx, clock, ids), clock, BACKUPS),
            ("keys", "messaging"): one_by_one(closing_door(PostgresStatedClosings, clock)),
        }
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
            converse=Converse(access, reader, seal, commit),
            send=SendMessage(access, seal, commit, Deliver(reader, keys, live, _nobody)),
            reader=reader,
            answer_orders=AnswerOrders(cast("DispositionOrders", answering)),
            carry_out=CarryOut(cast("DispositionRuns", carrying)),
            close_keys=CloseKeys(
                cast("Closings", closing), KeyServiceClosingKeys(client, randomness), clock, RING_AGE
            ),
            answering=answering,
            carrying=carrying,
            closing=closing,
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
