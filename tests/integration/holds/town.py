"""Holds and their executors on real databases and one Valkey, each moved by hand: nothing is waited for."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
from redis.asyncio import Redis

from infra.engines.valkey import ValkeyServer
from libs.authn.actor import Actor
from libs.authn.errors import Unauthenticated
from libs.authz.authorizer import Authorizer
from libs.barrier.door import SOURCE, hold_door
from libs.contracts.events import Event, decode, encode
from libs.contracts.facts import HoldsFact
from libs.contracts.holds import CONFIRMATIONS, GenerationConfirmed
from libs.contracts.streams import CONSUMERS
from libs.db.pool import CrossingDatabase, TenantDatabase, Transaction
from libs.events.acts import count_acts
from libs.events.internal import own_gaps, own_reports
from libs.events.projector import Projector
from libs.events.publisher import Publisher
from libs.events.records import StreamRecord, partition_of
from libs.host.app import create_app
from libs.host.approvals import approval_routes
from libs.kernel.clock import ManualClock
from libs.kernel.denials import Denials
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from libs.telemetry.metrics import Metrics
from services.holds.adapters.prometheus import WaitingSigns
from services.holds.edge.http import PREFIX, hold_routes
from services.holds.edge.problems import PROBLEMS
from services.holds.edge.stream import confirmation_door, directory_door
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
from tests.support.engines import ServiceDatabase

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TENANT, ELSEWHERE = TenantId(uuid4()), TenantId(uuid4())
CONFIRMED: dict[str, type[GenerationConfirmed]] = {
    confirmation.name.partition(".")[0]: confirmation for confirmation in CONFIRMATIONS
}
NOT_FOUND = (404, "not-found")


@dataclass(frozen=True)
class Person:
    """Somebody with roles, who acts over HTTP."""

    roles: tuple[str, ...]
    tenant: TenantId = TENANT
    principal: PrincipalId = field(default_factory=lambda: PrincipalId(uuid4()))

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tenant}/{self.principal}/{','.join(self.roles)}"}


class Badges:
    """Tokens that say whose they are."""

    async def verify(self, token: str) -> Actor:
        try:
            tenant, principal, roles = token.split("/")
            return Actor(
                tenant=TenantId(UUID(tenant)),
                principal=PrincipalId(UUID(principal)),
                session=SessionId(uuid4()),
                device=DeviceId(uuid4()),
                roles=frozenset(roles.split(",")),
                expires_at=datetime(2027, 1, 1, tzinfo=UTC),
            )
        except ValueError:
            raise Unauthenticated from None

    def check(self, actor: Actor) -> None:
        """Know of no revocation."""


class Source:
    """A service's outbox, its publisher, and the pools of its roles."""

    def __init__(self, name: str, database: ServiceDatabase, redis: Redis, clock: ManualClock) -> None:
        self.name = name
        self.database = database
        self.metrics = Metrics(name)
        self.publishing = CrossingDatabase(database.dsn(f"{name}_publisher"), f"{name}-publisher")
        self.projecting = CrossingDatabase(database.dsn(f"{name}_projector"), f"{name}-projector")
        self.app = TenantDatabase(database.dsn(f"{name}_app"), name)
        self.publisher = Publisher(
            self.publishing, redis, name, consumers=CONSUMERS[name], clock=clock, metrics=self.metrics
        )

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement as the database's administrator, past every policy."""
        with psycopg.connect(self.database.admin_dsn.reveal(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def events(self) -> list[Event]:
        """Return what was published, in the order of the outbox."""
        rows = self.rows(f"SELECT body FROM {self.name}.outbox ORDER BY part, position")
        return [event for (body,) in rows if (event := decode(body)[1]) is not None]


@dataclass
class Town:
    """The hold service with its doors, and its executors."""

    http: httpx.AsyncClient
    clock: ManualClock
    holds: Source
    executors: dict[str, Source]
    redis: Redis
    tell_denials: TellDenials
    watch: WatchHolds
    ids: SystemIds

    async def place(self, person: Person, **terms: Any) -> httpx.Response:
        wanted = {"silent": True, "reason": "a claim", **terms}
        return await self.http.post("/holds", headers=person.headers, json=json.loads(_json(wanted)))

    async def placed(self, person: Person, **terms: Any) -> dict[str, Any]:
        answer = await self.place(person, **terms)
        assert answer.status_code == 201, answer.text
        placed: dict[str, Any] = answer.json()
        return placed

    async def get(self, person: Person, path: str) -> httpx.Response:
        return await self.http.get(path, headers=person.headers)

    async def shown(self, person: Person, hold: str) -> dict[str, Any]:
        answer = await self.get(person, f"/holds/{hold}")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def ask_release(self, person: Person, hold: str, reason: str = "settled") -> httpx.Response:
        return await self.http.post(f"/holds/{hold}/release", headers=person.headers, json={"reason": reason})

    async def decide(self, person: Person, request: dict[str, Any], *, approves: bool) -> httpx.Response:
        decision = {"approves": approves, "digest": request["digest"]}
        return await self.http.post(f"/approvals/{request['request']}", headers=person.headers, json=decision)

    async def told(self) -> None:
        """Bring the changes of holds to the streams."""
        await self.holds.publisher.publish_once()

    async def execute(self, *names: str) -> None:
        """Let executors (all, where none is named) take in what they are told, and publish what they say."""
        await self.told()
        for name in names or self.executors:
            await self.executor(name).catch_up()
            await self.executors[name].publisher.publish_once()
        for name in self.executors:
            await self.confirmations(name).catch_up()

    def executor(self, name: str) -> Projector:
        """Return the projector of holds in an executor."""
        source = self.executors[name]
        return Projector(
            name,
            SOURCE,
            schema=name,
            database=source.projecting,
            redis=self.redis,
            apply=hold_door(name, CONFIRMED[name], self.clock, self.ids),
            fetch_gap=own_gaps(self.holds.publishing, SOURCE),
            report_cursors=own_reports(self.holds.publishing, SOURCE),
            clock=self.clock,
            metrics=source.metrics,
        )

    def confirmations(self, name: str) -> Projector:
        """Return the projector of an executor's confirmations in holds."""

        def confirmations_in(tx: Transaction) -> PostgresConfirmations:
            return PostgresConfirmations(tx, self.clock, self.ids)

        owner = self.executors[name]
        return Projector(
            SOURCE,
            name,
            schema=SOURCE,
            database=self.holds.projecting,
            redis=self.redis,
            apply=confirmation_door(name, confirmations_in, self.clock, self.ids),
            fetch_gap=own_gaps(owner.publishing, name),
            report_cursors=own_reports(owner.publishing, name),
            clock=self.clock,
            metrics=self.holds.metrics,
        )

    async def learn(self, tenant: TenantId, *events: Event) -> None:
        """Take in what identity tells of the directory, as its projector does."""
        records = [
            StreamRecord(
                partition_of(tenant),
                number,
                tenant,
                event.name,
                encode(event, id=uuid4(), time=NOON, tenant=tenant),
            )
            for number, event in enumerate(events, 1)
        ]
        async with self.holds.projecting.begin() as tx:
            await directory_door(PostgresPrincipals)(tx, records)

    def facts(self) -> list[HoldsFact]:
        """Return the audit facts of the hold service."""
        return [event for event in self.holds.events() if isinstance(event, HoldsFact)]

    async def acts(self) -> dict[str, int]:
        """Return the acts by the service's own rows."""
        counted = await count_acts(self.holds.publishing, SOURCE, ACTS)
        return {each.action: each.count for each in counted.acts}


def _json(terms: dict[str, Any]) -> str:
    return json.dumps(terms, default=str)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


@asynccontextmanager
async def town_of(
    database_of: Callable[[str], ServiceDatabase], valkey: ValkeyServer, executors: Sequence[str]
) -> AsyncIterator[Town]:
    """Open everything, and close it afterwards."""
    clock = ManualClock(NOON)
    ids = SystemIds(clock, SystemRandomness())
    async with AsyncExitStack() as stack:
        redis = Redis.from_url(valkey.url().reveal())
        stack.push_async_callback(redis.aclose)
        sources = {name: Source(name, database_of(name), redis, clock) for name in (SOURCE, *executors)}
        for source in sources.values():
            for pool in (source.publishing, source.projecting, source.app):
                await pool.open()
                stack.push_async_callback(pool.close)
        holds = sources.pop(SOURCE)
        registers, denials = PostgresRegisters(holds.app, clock, ids), Denials(clock)
        access = Access(Authorizer(Path("policies/authz")), denials)
        badges, release = Badges(), ReleaseHold(registers, access, clock, ids)
        routers = [
            hold_routes(
                verifier=badges,
                revocations=badges,
                place=PlaceHold(registers, access, clock, ids),
                read=ReadHolds(registers, access),
                release=release,
                clock=clock,
            ),
            approval_routes(PREFIX, verifier=badges, revocations=badges, desk=release, clock=clock),
        ]
        app = create_app(SOURCE, title="Trial", prefix=PREFIX, routers=routers, problems=PROBLEMS)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url=f"http://holds{PREFIX}", timeout=30)
        )
        waiting = PostgresWaitingHolds(holds.projecting)
        yield Town(
            http,
            clock,
            holds,
            sources,
            redis,
            TellDenials(registers, denials, ids),
            WatchHolds(waiting, WaitingSigns(holds.metrics, 60.0), clock),
            ids,
        )
