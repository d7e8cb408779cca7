"""A conversation is proved from its bodies to the signed checkpoint, by what two real services stored."""

import base64
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from fastapi import APIRouter, Response

from libs.authn.actor import Actor
from libs.authz.authorizer import Authorizer
from libs.client.api import Api
from libs.client.errors import Refused
from libs.client.evidence import Bearer, Evidence
from libs.contracts.facts import MessagingFact
from libs.db.pool import TenantDatabase
from libs.events.records import StreamRecord
from libs.evidence.trust import dump_trust
from libs.evidence.verify import verify_bundle
from libs.host.app import create_app
from libs.kernel.clock import SystemClock
from libs.kernel.denials import Denials
from libs.kernel.ids import SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from services.audit.edge.http import read_routes
from services.audit.edge.problems import PROBLEMS as AUDIT_PROBLEMS
from services.audit.edge.stream import fact_door
from services.audit.store.journal import PostgresJournal
from services.audit.store.reading import PostgresReadings
from services.audit.usecases.access import Access
from services.audit.usecases.read_log import ReadLog
from services.audit.usecases.search import SearchEntries
from services.audit.usecases.take_evidence import TakeEvidence
from services.messaging.edge.http import evidence_routes
from services.messaging.edge.problems import PROBLEMS
from services.messaging.wiring import PREFIX
from tests.integration.audit.logs import TRUST, Logs, logs_in
from tests.integration.messaging.gateways import Gateway, person
from tests.integration.messaging.test_evidence import SECRET, busy
from tests.integration.messaging.test_evidence_routes import Known
from tests.support.engines import ROOT, ServiceDatabase

Three = tuple[Actor, Actor, Actor]
POLICIES = ROOT / "policies" / "authz"


async def publish(gateway: Gateway, logs: Logs) -> None:
    """Give every fact of messaging its entry under a checkpoint."""
    rows = gateway.rows(
        "SELECT part, position, tenant, name, body FROM messaging.outbox WHERE name = %s"
        " ORDER BY part, position",
        MessagingFact.name,
    )
    seen = {tuple(row) for row in logs.rows("SELECT part, position FROM audit.entry")}
    records = [StreamRecord(part, at, TenantId(tenant), name, body) for part, at, tenant, name, body in rows]
    apply = fact_door("messaging", PostgresJournal, SystemRandomness(), lambda _count: None)
    async with logs.sequencing.begin() as tx:
        await apply(tx, [record for record in records if (record.part, record.position) not in seen])
    await logs.integrate()


def trust_routes() -> APIRouter:
    """Return the trusted keys as keys shows them."""
    router = APIRouter()

    @router.get("/keys/v1/trust.json")
    async def trust() -> Response:
        return Response(dump_trust(TRUST), media_type="application/json")

    return router


@pytest.fixture
async def logs(database_of: Callable[[str], ServiceDatabase]) -> AsyncIterator[Logs]:
    async with logs_in(database_of("audit")) as opened:
        yield opened


@pytest.fixture
async def evidence(one: Gateway, people: Three, logs: Logs) -> AsyncIterator[Evidence]:
    """Give the SDK: the first of the people reads the conversation, and an auditor the log."""
    ada, auditor = people[0], person(people[0].tenant, ["auditor"])
    known = Known(ada, auditor)
    clock = SystemClock()
    ids = SystemIds(clock, SystemRandomness())
    reading = TenantDatabase(logs.database.dsn("audit_app"), "reading")
    readings = PostgresReadings(reading, clock, ids)
    access = Access(Authorizer(POLICIES), Denials(clock))
    routers = [
        evidence_routes(PREFIX, verifier=known, revocations=known, take_evidence=one.core.take_evidence),
        read_routes(
            "/audit/v1",
            verifier=known,
            revocations=known,
            read_log=ReadLog(readings, access, Denials(clock)),
            search=SearchEntries(readings, access, clock, ids),
            take_evidence=TakeEvidence(readings, access, clock, ids),
        ),
        trust_routes(),
    ]
    problems = {**PROBLEMS, **AUDIT_PROBLEMS}
    app = create_app("messaging", title="Trial", prefix=PREFIX, routers=routers, problems=problems)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    await reading.open()
    async with httpx.AsyncClient(transport=transport) as http:
        api = Api("http://muniment.test", http)
        reader, control = Bearer(api, str(ada.principal)), Bearer(api, str(auditor.principal))
        yield Evidence(control, clock, reader=reader)
    await reading.close()


async def test_what_was_said_is_proved_to_a_stranger(
    one: Gateway, people: Three, logs: Logs, evidence: Evidence
) -> None:
    ada, bo, cy = people
    plans, games = await one.group(ada, bo, name="Plans"), await one.group(ada, cy)
    for _ in range(3):
        await busy(one, ada, plans, games)
        await publish(one, logs)
    await one.core.converse.add(ada, plans, [cy.principal])
    await publish(one, logs)
    bundle = await evidence.conversation(plans, 1, 44)
    report = verify_bundle(bundle, TRUST)
    assert (report.kind, report.entries) == ("conversation-range", 44)
    assert report.size == logs.rows("SELECT integrated FROM audit.tree")[0][0]
    bodies = [base64.b64decode(entry.get("body", "")) for entry in json.loads(bundle)["entries"]]
    assert sum(SECRET.encode() in body for body in bodies) == 42


@pytest.mark.planted
async def test_a_log_that_somebody_wrote_over_proves_nothing(
    one: Gateway, people: Three, logs: Logs, evidence: Evidence
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    await busy(one, ada, plans)
    await publish(one, logs)
    verify_bundle(await evidence.conversation(plans, 1, 15), TRUST)
    changes = {
        "UPDATE audit.detail SET outcome = 'refused'": "UPDATE audit.detail SET outcome = 'done'",
        "UPDATE audit.entry SET leaf = leaf || ' '": "UPDATE audit.entry SET leaf = rtrim(leaf, ' ')",
    }
    for change, back in changes.items():
        logs.rows(change)
        with pytest.raises(Refused) as refused:  # whoever shows it looks at it first
            await evidence.conversation(plans, 1, 15)
        assert refused.value.problem.code == "log-damaged"
        logs.rows(back)
    verify_bundle(await evidence.conversation(plans, 1, 15), TRUST)
