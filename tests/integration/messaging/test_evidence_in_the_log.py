"""A conversation is proved from its bodies to the signed checkpoint, by what two real services stored."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Response

from libs.authn.actor import Actor
from libs.client.api import Api
from libs.client.evidence import Bearer, Evidence
from libs.contracts.facts import MessagingFact
from libs.events.records import StreamRecord
from libs.evidence.bundle import act_bundle
from libs.evidence.detail import parse_detail
from libs.evidence.errors import EvidenceRefused
from libs.evidence.trust import dump_trust
from libs.evidence.verify import verify_bundle
from libs.host.app import create_app
from libs.kernel.clock import SystemClock
from libs.kernel.ids import TenantId
from libs.kernel.randomness import SystemRandomness
from libs.merkle.checkpoint import parse_checkpoint
from libs.merkle.note import parse_note
from libs.merkle.tile_proofs import inclusion_from_tiles, tiles_for_inclusion
from services.audit.edge.stream import fact_door
from services.audit.store.journal import PostgresJournal
from services.audit.store.log_source import open_log
from services.messaging.edge.http import evidence_routes
from services.messaging.edge.problems import PROBLEMS
from services.messaging.wiring import PREFIX
from tests.integration.audit.logs import TRUST, Logs, logs_in
from tests.integration.messaging.gateways import Gateway
from tests.integration.messaging.test_evidence import SECRET, busy
from tests.integration.messaging.test_evidence_routes import Known
from tests.support.engines import ServiceDatabase

Three = tuple[Actor, Actor, Actor]


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


def log_routes(logs: Logs, tenant: TenantId) -> APIRouter:
    """Return the log's evidence of commits, and the trusted keys, as their services show them."""
    router = APIRouter()

    @router.get("/audit/v1/evidence/entities/commit/{commit}")
    async def commit(commit: UUID, size: int | None = None) -> Response:
        ((index,),) = logs.rows(
            "SELECT min(index) FROM audit.detail_entity WHERE kind = 'commit' AND id = %s", str(commit)
        )
        with open_log(logs.database.dsn("audit_app"), tenant) as log:
            notes = [*log.checkpoints(), log.checkpoint()]
            sizes = {parse_checkpoint(parse_note(note).text).size: note for note in notes}
            under = size or log.published()
            fetched = {at: log.tile(at) for at in tiles_for_inclusion(index, under)}
            proof = inclusion_from_tiles(fetched.__getitem__, index, under)
            entry = log.entry(index)
        assert entry.detail is not None
        detail = parse_detail(entry.detail.detail)
        bundle = act_bundle(entry.leaf, proof, sizes[under], detail=detail, salt=entry.detail.salt)
        return Response(bundle, media_type="application/json")

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
    """Give the SDK of the first of the people, who may read the log too."""
    known = Known(*people)
    messaging = evidence_routes(
        PREFIX, verifier=known, revocations=known, take_evidence=one.core.take_evidence
    )
    routers = [messaging, log_routes(logs, people[0].tenant)]
    app = create_app("messaging", title="Trial", prefix=PREFIX, routers=routers, problems=PROBLEMS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        api = Api("http://muniment.test", http)
        yield Evidence(Bearer(api, str(people[0].principal)), SystemClock())


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
    assert report.size == logs.rows("SELECT integrated FROM audit.log")[0][0]
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
        with pytest.raises(EvidenceRefused):
            await evidence.conversation(plans, 1, 15)
        logs.rows(back)
    verify_bundle(await evidence.conversation(plans, 1, 15), TRUST)
