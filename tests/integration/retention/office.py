"""The routes of retention, called in process over a real database."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg

from libs.authn.actor import Actor
from libs.authn.errors import Unauthenticated
from libs.authz.authorizer import Authorizer
from libs.contracts.events import decode
from libs.contracts.facts import RetentionFact
from libs.contracts.retention import MessagingOrderAnswered
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.disposition.presets import read_presets
from libs.evidence.bundle import act_bundle
from libs.evidence.certificate.statement import CERTIFICATE_ENTITY
from libs.evidence.detail import Entity, detail_commitment
from libs.evidence.leaf import Leaf, leaf_of
from libs.host.app import create_app
from libs.host.approvals import approval_routes
from libs.kernel.denials import Denials
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from libs.merkle.hashing import leaf_hash
from libs.merkle.tree import inclusion_proof
from services.audit.usecases.sequence import detail_of
from services.retention.domain.errors import CertificateUnavailable
from services.retention.edge.certificates import certificate_routes
from services.retention.edge.http import retention_routes
from services.retention.edge.problems import PROBLEMS
from services.retention.store.acts import ACTS
from services.retention.store.books import PostgresAnswers, PostgresBooks
from services.retention.store.certificates import PostgresCertificateBooks
from services.retention.usecases.access import Access
from services.retention.usecases.certificates import Certificates
from services.retention.usecases.denials import TellDenials
from services.retention.usecases.orders import Orders, take_answer
from services.retention.usecases.rules import Erasures, Locks, Rules
from services.retention.usecases.runs import Runs
from tests.support.engines import ServiceDatabase
from tests.unit.evidence.logs import SALT, note_of

OURS, THEIRS = TenantId(UUID(int=1)), TenantId(UUID(int=2))
OFFICER, COUNSEL = PrincipalId(UUID(int=7)), PrincipalId(UUID(int=8))
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def pass_by(self, time: timedelta) -> None:
        self.at += time


class Badges:
    """Tokens that say whose they are: `tenant/role`, or `tenant/role/principal`."""

    async def verify(self, token: str) -> Actor:
        try:
            tenant, role, *who = token.split("/")
            return Actor(
                tenant=TenantId(UUID(tenant)),
                principal=PrincipalId(UUID(who[0])) if who else OFFICER,
                session=SessionId(uuid4()),
                device=DeviceId(uuid4()),
                roles=frozenset([role]),
                expires_at=datetime(2037, 1, 1, tzinfo=UTC),
            )
        except ValueError:
            raise Unauthenticated from None

    def check(self, actor: Actor) -> None:
        """Know of no revocation."""


@dataclass
class Office:
    """The service, and a way to look behind it."""

    http: httpx.AsyncClient
    database: ServiceDatabase
    projecting: CrossingDatabase
    clock: Hand
    ids: SystemIds
    tell_denials: TellDenials
    log: "Logged"

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        role: str = "compliance_officer",
        tenant: TenantId = OURS,
    ) -> httpx.Response:
        """Ask the service as somebody of a role."""
        headers = {"authorization": f"Bearer {tenant}/{role}"}
        return await self.http.request(method, f"/retention/v1{path}", json=body, headers=headers)

    async def did(self, path: str, body: object, **who: Any) -> Any:
        """POST something that succeeds and return the answer."""
        answer = await self.ask("POST", path, body, **who)
        assert answer.is_success, answer.text
        return answer.json()

    async def shown(self, path: str, **who: Any) -> Any:
        """GET something that is there."""
        answer = await self.ask("GET", path, **who)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def answered(
        self, event: MessagingOrderAnswered, *, tenant: TenantId = OURS, executor: str = "messaging"
    ) -> None:
        """Take in an answer as the projector does."""
        async with self.projecting.begin() as tx:
            answers = PostgresAnswers(tx, self.clock, self.ids)
            await take_answer(answers, tenant, executor, event, self.clock.now(), self.ids)

    def rows(self, statement: str) -> list[Any]:
        """Return rows as the administrator sees them."""
        with psycopg.connect(self.database.admin_dsn.reveal()) as admin:
            return admin.execute(statement).fetchall()

    def outbox(self) -> list[dict[str, Any]]:
        """Return everything that was published, in order."""
        rows = self.rows("SELECT body FROM retention.outbox ORDER BY part, position")
        return [json.loads(body) for (body,) in rows]

    def facts(self) -> list[dict[str, Any]]:
        """Return the facts that were told."""
        return [each["data"] for each in self.outbox() if each["type"] == "retention.fact.recorded.v1"]

    def acts(self) -> dict[str, int]:
        """Return how often each act was done, by the rows that it left."""
        counted = {action: self.rows(statement) for action, statement in ACTS.items()}
        return {action: sum(count for _, count in rows) for action, rows in counted.items() if rows}


class Logged:
    """A log that has an entry for each fact that was published, as the audit service would write it."""

    def __init__(self, database: ServiceDatabase) -> None:
        self._database = database
        self.covers = True

    async def bundle(self, tenant: TenantId, certificate: UUID) -> bytes:
        """Return the evidence that the log names a certificate."""
        with psycopg.connect(self._database.admin_dsn.reveal()) as admin:
            rows = admin.execute("SELECT body FROM retention.outbox ORDER BY part, position").fetchall()
        events = [decode(bytes(body)) for (body,) in rows]
        told = [
            (envelope, detail_of(event))
            for envelope, event in events
            if isinstance(event, RetentionFact) and envelope.tenant == tenant
        ]
        if not self.covers:
            raise CertificateUnavailable
        leaves = [
            leaf_of(
                Leaf(tenant, at, envelope.id, "retention", 1, at + 1, NOON, detail_commitment(detail, SALT))
            )
            for at, (envelope, detail) in enumerate(told)
        ]
        named = Entity(CERTIFICATE_ENTITY, str(certificate))
        (index,) = [at for at, (_, detail) in enumerate(told) if named in detail.entities]
        proof = inclusion_proof([leaf_hash(leaf) for leaf in leaves], index)
        return act_bundle(leaves[index], proof, note_of(leaves, log=tenant), detail=told[index][1], salt=SALT)


@asynccontextmanager
async def office_in(database: ServiceDatabase) -> AsyncIterator[Office]:
    """Give the service over a database."""
    clock = Hand()
    ids = SystemIds(clock, SystemRandomness())
    pool = TenantDatabase(database.dsn("retention_app"), "retention")
    projecting = CrossingDatabase(database.dsn("retention_projector"), "retention-projector")
    await pool.open()
    await projecting.open()
    books, denials = PostgresBooks(pool, clock, ids), Denials(clock)
    access = Access(Authorizer(Path("policies/authz")), denials)
    presets = {preset.name: preset for preset in read_presets(Path("policies/retention"))}
    runs = Runs(books, access, clock, ids)
    routes = retention_routes(
        "/retention/v1",
        verifier=Badges(),
        revocations=Badges(),
        rules=Rules(books, access, presets, clock, ids),
        locks=Locks(books, access, clock, ids),
        erasures=Erasures(books, access, clock, ids),
        orders=Orders(books, access, presets, clock, ids),
        runs=runs,
    )
    desk = approval_routes("/retention/v1", verifier=Badges(), revocations=Badges(), desk=runs, clock=clock)
    log = Logged(database)
    certificates = certificate_routes(
        "/retention/v1",
        verifier=Badges(),
        revocations=Badges(),
        certificates=Certificates(PostgresCertificateBooks(pool, clock, ids), access, log),
    )
    app = create_app(
        "retention",
        title="Trial",
        prefix="/retention/v1",
        routers=[routes, certificates, desk],
        problems=PROBLEMS,
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://retention") as http:
        yield Office(http, database, projecting, clock, ids, TellDenials(books, denials, ids), log)
    await pool.close()
    await projecting.close()
