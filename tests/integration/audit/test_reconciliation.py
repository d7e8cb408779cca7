"""Acts of two services and entries in a real log agree, until one is planted without the other."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from libs.authn.service_tokens import ServiceTokenSigner, ServiceTokenVerifier, public_key_of
from libs.contracts.events import encode
from libs.contracts.facts import Actor, AuditFact, Fact, KeysFact
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.events.acts import count_acts
from libs.events.internal import read_outbox
from libs.events.outbox import OutboxRecord, append, partition_of
from libs.events.projection import ProjectionRows
from libs.host.app import create_app
from libs.host.clients import ServiceClient
from libs.host.outbox import acts_routes
from libs.kernel.clock import SystemClock
from libs.kernel.ids import PrincipalId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from libs.telemetry.metrics import Metrics
from services.audit.adapters.acts import SourceActs, peer_acts
from services.audit.adapters.alarm import GaugesAndErrors
from services.audit.domain.reading import Reading
from services.audit.domain.reconciling import Disagreement
from services.audit.edge.operator import operator_routes
from services.audit.edge.problems import PROBLEMS
from services.audit.edge.stream import fact_door
from services.audit.store.acts import ACTS
from services.audit.store.books import PostgresBooks
from services.audit.store.journal import PostgresJournal
from services.audit.store.reading import PostgresReadings
from services.audit.usecases.reconcile import Reconcile
from services.keys.store.acts import ACTS as KEYS_ACTS
from tests.integration.audit.logs import Logs, logs_in
from tests.support.engines import ServiceDatabase

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ONE, TWO = TenantId(uuid4()), TenantId(uuid4())
SEARCHED, UNWRAPPED = "audit.entries.searched", "keys.dek.unwrapped"
SEEDS = {name: name.encode().ljust(32, b".") for name in ("operator", "audit", "messaging")}
PEER_KEYS = {name: base64.b64encode(public_key_of(seed)).decode() for name, seed in SEEDS.items()}
CLOCK = SystemClock()
IDS = SystemIds(CLOCK, SystemRandomness())
ACTOR = Actor(kind="principal", id=uuid4())
_ACCESS = """
INSERT INTO keys.key_access (tenant, access, action, service, purpose, act, deks, at)
VALUES (%s, %s, 'keys.dek.unwrapped', 'messaging', 'deliver', 'sync', %s, %s)
"""
_READING = """
INSERT INTO audit.reading (tenant, act, action, log, said, at) VALUES (%s, %s, %s, %s, '', %s)
"""


def record_of(fact: Fact, tenant: TenantId) -> OutboxRecord:
    body = encode(fact, id=uuid4(), time=NOW, tenant=tenant)
    return OutboxRecord(partition_of(tenant), tenant, fact.name, body)


@dataclass
class Platform:
    """The audit service and the key service, each with its own database, and all that they do here."""

    logs: Logs
    keys: ServiceDatabase
    keys_app: TenantDatabase
    readings: PostgresReadings
    publishing: dict[str, CrossingDatabase]
    reconcile: Reconcile
    app: FastAPI
    metrics: Metrics
    told: list[int] = field(default_factory=list)

    async def search(self, tenant: TenantId) -> None:
        """Search the log, as audit does it."""
        reading = Reading(IDS.uuid7(), PrincipalId(uuid4()), SEARCHED, tenant, "", NOW)
        fact = AuditFact(act=reading.reading, action=SEARCHED, actor=ACTOR, at=NOW)
        async with self.readings.begin(tenant) as tx:
            await tx.record_readings([(reading, fact)])

    async def unwrap(self, tenant: TenantId) -> None:
        """Give out a key, as keys does it."""
        access = uuid4()
        fact = KeysFact(act=access, action=UNWRAPPED, actor=ACTOR, at=NOW)
        async with self.keys_app.begin(tenant) as tx:
            await tx.execute(_ACCESS, (tenant, access, [uuid4()], NOW))
            await append(tx, "keys", [record_of(fact, tenant)])

    async def publish(self) -> None:
        """Give every fact its entry under a checkpoint, as the projectors and the integrator do it."""
        for source in self.publishing:
            await self._project(source)
        await self.logs.integrate()

    async def _project(self, source: str) -> None:
        rows = ProjectionRows("audit", "audit", source)
        apply = fact_door(source, PostgresJournal, SystemRandomness(), self.told.append)
        async with self.logs.sequencing.begin() as tx:
            await rows.begin_at_zero(tx)
            for part, cursor in (await rows.cursors(tx)).items():
                async with self.publishing[source].begin() as outbox:
                    records = await read_outbox(outbox, source, part, cursor, 1000)
                if records:
                    await apply(tx, records)
                    await rows.advance(tx, {part: records[-1].position})

    def gauge(self, name: str) -> float:
        (line,) = [
            line
            for line in self.metrics.exposition().decode().splitlines()
            if line.startswith(f"muniment_{name} ")
        ]
        return float(line.split()[1])

    async def ask(self, caller: str) -> httpx.Response:
        token = ServiceTokenSigner(caller, SEEDS[caller], CLOCK, IDS).token_for("audit")
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://audit") as http:
            headers = {"authorization": f"Bearer {token}"}
            return await http.post("/internal/reconciliations", headers=headers)


@pytest.fixture
async def platform(database_of: Callable[[str], ServiceDatabase]) -> AsyncIterator[Platform]:
    """Give two services that did five acts, all of them in the logs."""
    audit, keys = database_of("audit"), database_of("keys")
    databases = {"audit": audit, "keys": keys}
    async with AsyncExitStack() as stack:
        logs = await stack.enter_async_context(logs_in(audit))
        publishing = {
            source: CrossingDatabase(one.dsn(f"{source}_publisher"), source)
            for source, one in databases.items()
        }
        apps = {source: TenantDatabase(one.dsn(f"{source}_app"), source) for source, one in databases.items()}
        counting = CrossingDatabase(audit.dsn("audit_sequencer"), "counting", max_size=1)
        pools: list[CrossingDatabase | TenantDatabase] = [*publishing.values(), *apps.values(), counting]
        for pool in pools:
            await pool.open()
            stack.push_async_callback(pool.close)
        verifier = ServiceTokenVerifier("keys", PEER_KEYS, CLOCK)
        peer = create_app(
            "keys",
            title="keys",
            prefix="/keys/v1",
            routers=[acts_routes("keys", publishing["keys"], verifier, KEYS_ACTS)],
            problems={},
        )
        signer = ServiceTokenSigner("audit", SEEDS["audit"], CLOCK, IDS)
        client = ServiceClient("http://keys:1", "keys", signer, transport=httpx.ASGITransport(peer))
        sources = {
            "audit": SourceActs("audit", lambda: count_acts(publishing["audit"], "audit", ACTS)),
            "keys": peer_acts("keys", await stack.enter_async_context(client)),
        }
        metrics = Metrics("audit")
        alarm = GaugesAndErrors(metrics)
        reconcile = Reconcile(sources, PostgresBooks(counting), alarm, CLOCK, wait_seconds=0.2)
        routes = operator_routes(ServiceTokenVerifier("audit", PEER_KEYS, CLOCK), reconcile)
        app = create_app("audit", title="audit", prefix="/audit/v1", routers=[routes], problems=PROBLEMS)
        readings = PostgresReadings(apps["audit"], CLOCK, IDS)
        made = Platform(logs, keys, apps["keys"], readings, publishing, reconcile, app, metrics)
        for tenant in (ONE, TWO, ONE):
            await made.search(tenant)
        for tenant in (ONE, TWO):
            await made.unwrap(tenant)
        await made.publish()
        yield made


def run(database: ServiceDatabase, statement: str, *parameters: object) -> None:
    with psycopg.connect(database.admin_dsn.reveal(), autocommit=True) as connection:
        connection.execute(statement.encode(), parameters)


async def test_acts_and_entries_agree_when_each_act_told_its_fact(platform: Platform) -> None:
    found = await platform.reconcile()
    assert found.counts == {"audit": (3, 3, 3), "keys": (2, 2, 2)}
    assert not found.disagreements
    assert not found.unsettled
    assert platform.gauge("audit_disagreements") == platform.gauge("audit_unsettled") == 0


@pytest.mark.planted
@pytest.mark.parametrize("whole", [True, False])
async def test_an_act_that_told_no_fact_raises_the_alarm(platform: Platform, whole: bool) -> None:
    await platform.reconcile()
    run(platform.keys, _ACCESS, TWO, uuid4(), [uuid4()], NOW)
    run(platform.logs.database, _READING, ONE, uuid4(), SEARCHED, ONE, NOW)
    found = await platform.reconcile(whole=whole)
    assert set(found.disagreements) == {
        Disagreement("audit", ONE, SEARCHED, 3, 2),
        Disagreement("audit", ONE, None, 3, 2),
        Disagreement("keys", TWO, UNWRAPPED, 2, 1),
        Disagreement("keys", TWO, None, 2, 1),
    }
    assert platform.gauge("audit_disagreements") == 4


@pytest.mark.planted
@pytest.mark.parametrize("whole", [True, False])
async def test_a_fact_without_an_act_raises_the_alarm(platform: Platform, whole: bool) -> None:
    await platform.reconcile()
    fact = KeysFact(act=uuid4(), action=UNWRAPPED, actor=ACTOR, at=NOW)
    async with platform.keys_app.begin(TWO) as tx:
        await append(tx, "keys", [record_of(fact, TWO)])
    await platform.publish()
    found = await platform.reconcile(whole=whole)
    assert found.disagreements == (
        Disagreement("keys", TWO, UNWRAPPED, 1, 2),
        Disagreement("keys", TWO, None, 1, 2),
    )


@pytest.mark.planted
@pytest.mark.parametrize("part", [63, 0])
async def test_an_entry_that_came_by_no_outbox_raises_the_alarm(platform: Platform, part: int) -> None:
    """A copy of an entry, whose place no source has come to, put behind the last one by a superuser."""
    (leaf,) = platform.logs.rows("SELECT leaf FROM audit.entry WHERE tenant = %s AND index = 0", TWO)[0]
    index = platform.logs.rows("SELECT sequenced FROM audit.log WHERE tenant = %s", TWO)[0][0]
    planted = (
        leaf.replace(b'"index":"0"', f'"index":"{index}"'.encode())
        .replace(f'"part":{partition_of(TWO)},'.encode(), f'"part":{part},'.encode())
        .replace(b'"position":"1"', b'"position":"77"')
    )
    platform.logs.rows(
        "INSERT INTO audit.entry (tenant, index, leaf, fact, source, part, position)"
        " VALUES (%s, %s, %s, %s, 'audit', %s, 77)",
        *(TWO, index, planted, uuid4(), part),
    )
    platform.logs.rows("UPDATE audit.log SET sequenced = %s WHERE tenant = %s", index + 1, TWO)
    await platform.logs.integrate()
    assert Disagreement("audit", TWO, None, 1, 2) in (await platform.reconcile()).disagreements


@pytest.mark.planted
async def test_a_detail_that_was_taken_away_raises_the_alarm(platform: Platform) -> None:
    platform.logs.rows("DELETE FROM audit.detail WHERE tenant = %s AND action = %s", TWO, UNWRAPPED)
    assert (await platform.reconcile()).disagreements == (Disagreement("keys", TWO, UNWRAPPED, 1, 0),)


async def test_acts_whose_facts_are_under_way_are_not_compared_and_then_are(platform: Platform) -> None:
    await platform.unwrap(ONE)
    found = await platform.reconcile(whole=False)
    assert found.unsettled == {"keys": "behind"}
    assert not found.disagreements
    assert platform.gauge("audit_unsettled") == 1
    await platform.publish()
    found = await platform.reconcile(whole=False)
    assert found.counts["keys"] == (3, 3, 3)
    assert platform.gauge("audit_unsettled") == 0


async def test_entries_without_a_checkpoint_are_not_compared(platform: Platform) -> None:
    await platform.unwrap(ONE)
    platform.logs.key.signer = None
    await platform.publish()
    found = await platform.reconcile()
    assert found.left_out == {ONE: "unpublished"}
    assert found.counts == {"audit": (1, 1, 1), "keys": (1, 1, 1)}
    assert platform.gauge("audit_left_out") == 1


@pytest.mark.planted
async def test_a_damaged_log_is_left_out_and_named_and_the_others_are_compared(platform: Platform) -> None:
    platform.logs.rows("DELETE FROM audit.entry WHERE tenant = %s AND index = 0", ONE)
    run(platform.keys, _ACCESS, TWO, uuid4(), [uuid4()], NOW)
    found = await platform.reconcile()
    assert found.left_out == {ONE: "damaged"}
    assert {one.tenant for one in found.disagreements} == {TWO}
    answer = (await platform.ask("operator")).json()
    assert (answer["settled"], answer["left_out"]) == (False, {str(ONE): "damaged"})


async def test_the_operator_is_told_every_count(platform: Platform) -> None:
    answer = await platform.ask("operator")
    assert answer.status_code == 200
    assert answer.json() == {
        "acts": 5,
        "audited": 5,
        "walked": 5,
        "settled": True,
        "sources": {
            "audit": {"acts": 3, "audited": 3, "walked": 3},
            "keys": {"acts": 2, "audited": 2, "walked": 2},
        },
        "unsettled": {},
        "left_out": {},
        "disagreements": [],
    }
    run(platform.logs.database, _READING, UUID(int=1), uuid4(), SEARCHED, UUID(int=1), NOW)
    told = (await platform.ask("operator")).json()["disagreements"]
    counts = {"source": "audit", "tenant": str(UUID(int=1)), "acts": 1, "entries": 0}
    assert told == [{**counts, "action": SEARCHED}, {**counts, "action": None}]


async def test_nobody_but_the_operator_may_ask(platform: Platform) -> None:
    assert (await platform.ask("messaging")).status_code == 403
