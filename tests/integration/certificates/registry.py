"""Messaging and retention over their own databases, so that a run is certified from end to end."""

import base64
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.authn.service_tokens import ServiceTokenSigner, ServiceTokenVerifier
from libs.contracts.cloudevents import CloudEvent
from libs.contracts.events import Event, decode, encode
from libs.contracts.internal import SigningKeyLease
from libs.contracts.retention import (
    DeksShredded,
    DispositionOrderIssued,
    ItemsExpunged,
    MessagingOrderCompleted,
)
from libs.db.pool import TenantDatabase
from libs.evidence.trust import Trust, TrustedKey
from libs.host.app import create_app
from libs.host.clients import ServiceClient
from libs.host.leases import LeasedKey
from libs.kernel.clock import SystemClock
from services.messaging.edge.destroyed import destroyed_routes
from services.messaging.edge.problems import PROBLEMS
from services.messaging.store.destroyed import PostgresDestroyed
from services.messaging.store.dispositions import PostgresReceivedOrders
from services.messaging.usecases.dispositions import take_order
from services.messaging.usecases.tell_destroyed import TellDestroyed
from services.retention.adapters.destroyed import MessagingDestroyed
from services.retention.edge.stream import answer_door, confirmation_door
from services.retention.store.books import PostgresAnswers
from services.retention.store.certificates import PostgresCertificateBooks
from services.retention.store.confirmations import PostgresConfirmations
from services.retention.store.due_certificates import PostgresDueCertificates
from services.retention.usecases.certify import Certify
from tests.integration.disposition.logbook import Logbook, logbook_in
from tests.integration.retention.office import COUNSEL, OURS, Office, office_in
from tests.support.engines import ServiceDatabase
from tests.unit.evidence.logs import INSTANCE, KEY, START, TRUST

SEED = bytes(range(32))
SIGNING = Ed25519PrivateKey.from_private_bytes(SEED)
SIGNED = Trust(
    INSTANCE,
    (
        *TRUST.keys,
        TrustedKey("z", "certificates", "ed25519", SIGNING.public_key().public_bytes_raw(), START, None),
    ),
)
RULE = {"kind": "deletion", "period": {"years": 2}, "grace_days": 400}
SHREDDED_FOR = timedelta(days=7)

__all__ = ["KEY", "SIGNED", "Registry", "registry_in"]


@dataclass
class Registry:
    """Both services, and what carries events between them."""

    logbook: Logbook
    office: Office
    certify: Certify
    leases: list[int] = field(default_factory=list)

    async def run(self, *, approve: bool = True) -> UUID:
        """Try, ask and approve, carry out, and tell retention of it; return the run."""
        office = self.office
        dry_run = (await office.did("/orders", {}))["order"]
        await self._order(dry_run)
        await self.logbook.answer_orders()
        await self._answers(dry_run)
        asked = await office.did(f"/orders/{dry_run}/run", {"reason": "canary-3f"})
        body = {"approves": approve, "digest": asked["digest"]}
        decided = await office.ask(
            "POST", f"/approvals/{asked['request']}", body, role=f"legal_counsel/{COUNSEL}"
        )
        assert decided.is_success, decided.text
        listed = await office.shown("/orders")
        (run,) = [each["order"] for each in listed["orders"] if each["dry_run"] == dry_run]
        await self._order(run)
        await self.logbook.carry_out()
        return UUID(run)

    async def complete(self, run: UUID) -> MessagingOrderCompleted:
        """Tell retention what messaging did."""
        done = self.logbook.completion(run)
        assert done is not None
        await self.answer(done)
        return done

    async def expunged(self, run: UUID, items: int, event: UUID | None = None) -> None:
        """Tell retention that the index let go of items."""
        await self.confirm("ediscovery", ItemsExpunged(order=run, items=items), event)

    async def shredded(self, run: UUID, deks: Sequence[UUID]) -> None:
        """Tell retention that keys are gone."""
        until = self.office.clock.now() + SHREDDED_FOR
        await self.confirm(
            "keys", DeksShredded(order=run, generation=0, deks=tuple(deks), unrecoverable_after=until)
        )

    async def confirm(self, store: str, event: Event, name: UUID | None = None) -> None:
        """Take in what a store confirms, as the projector does."""
        door = confirmation_door(store, PostgresConfirmations, self.office.clock)
        async with self.office.projecting.begin() as tx:
            await door(tx, self._envelope(event, name), 1)

    async def answer(self, event: Event) -> None:
        """Take in what messaging answers or did."""
        office = self.office
        door = answer_door(
            "messaging", lambda tx: PostgresAnswers(tx, office.clock, office.ids), office.clock, office.ids
        )
        async with office.projecting.begin() as tx:
            await door(tx, self._envelope(event, None), 1)

    def deks(self, run: UUID) -> list[UUID]:
        """Return the data keys that had sealed what a run destroyed."""
        rows = self.logbook.rows(
            f"SELECT DISTINCT dek FROM messaging.destroyed WHERE order_id = '{run}' ORDER BY dek"
        )
        return [dek for (dek,) in rows]

    async def standing(self, run: UUID) -> dict[str, Any]:
        """Return how far the certificate of a run is, as its order says."""
        standing: dict[str, Any] = (await self.office.shown(f"/orders/{run}"))["certificate"]
        return standing

    async def download(self, run: UUID, role: str = "auditor") -> httpx.Response:
        """Ask for the certificate as a file."""
        return await self.office.ask("GET", f"/certificates/{run}/download", role=role)

    def _envelope(self, event: Event, name: UUID | None) -> CloudEvent:
        body = encode(event, id=name or uuid4(), time=self.office.clock.now(), tenant=OURS)
        return decode(body)[0]

    async def _order(self, order: str) -> None:
        rows = self.office.rows("SELECT body FROM retention.outbox WHERE name = 'retention.order.issued.v1'")
        events = [decode(bytes(body))[1] for (body,) in rows]
        (event,) = [
            each for each in events if isinstance(each, DispositionOrderIssued) and str(each.order) == order
        ]
        async with self.logbook.projecting.begin() as tx:
            await take_order(PostgresReceivedOrders(tx), OURS, event, self.office.clock.now())

    async def _answers(self, order: str) -> None:
        for answer in self.logbook.answers():
            if str(answer.order) == order:
                await self.answer(answer)


@asynccontextmanager
async def registry_in(database_of: Callable[[str], ServiceDatabase]) -> AsyncIterator[Registry]:
    """Give both services over databases of their own."""
    async with AsyncExitStack() as stack:
        logbook = await stack.enter_async_context(logbook_in(database_of("messaging")))
        office = await stack.enter_async_context(office_in(database_of("retention")))
        pool = TenantDatabase(office.database.dsn("retention_app"), "retention-certify")
        await pool.open()
        stack.push_async_callback(pool.close)
        leases: list[int] = []

        async def lease() -> SigningKeyLease:
            leases.append(1)
            return SigningKeyLease(kid="z", private=SEED, not_after=office.clock.now() + timedelta(hours=1))

        client = _messaging(logbook)
        stack.push_async_callback(client.close)
        certify = Certify(
            PostgresDueCertificates(office.projecting),
            PostgresCertificateBooks(pool, office.clock, office.ids),
            MessagingDestroyed(client),
            LeasedKey(lease, office.clock),
            INSTANCE,
            office.clock,
            office.ids,
            segment_items=7,
        )
        yield Registry(logbook, office, certify, leases)


def _messaging(logbook: Logbook) -> ServiceClient:
    """Return a client of messaging's internal route, over the log of the test."""
    clock = SystemClock()
    public = base64.b64encode(SIGNING.public_key().public_bytes_raw()).decode()
    peers = ServiceTokenVerifier("messaging", {"retention": public}, clock)
    routes = destroyed_routes(peers, TellDestroyed(PostgresDestroyed(logbook.app)))
    app = create_app("messaging", title="Trial", prefix="/messaging/v1", routers=[routes], problems=PROBLEMS)
    return ServiceClient(
        "http://messaging:80",
        "messaging",
        ServiceTokenSigner("retention", SEED, clock, logbook.ids),
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
    )
