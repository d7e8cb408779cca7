"""Logs in a real database, sequenced and integrated as the process does it, without its doors."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.contracts.events import encode
from libs.contracts.facts import Actor, Entity, Fact, IdentityFact
from libs.db.pool import CrossingDatabase
from libs.events.records import StreamRecord
from libs.evidence.trust import Trust, TrustedKey
from libs.host.leases import LeasedSigner
from libs.kernel.clock import Clock, SystemClock
from libs.kernel.ids import TenantId
from libs.kernel.randomness import SystemRandomness
from libs.telemetry.metrics import Metrics
from services.audit.adapters.prometheus import IntegrationSigns
from services.audit.edge.stream import fact_door
from services.audit.store.journal import PostgresJournal
from services.audit.store.ledger import PostgresLedgers
from services.audit.usecases.integrate import Integrate
from tests.support.engines import ServiceDatabase

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
INSTANCE = "test.example"
SEED = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
TRUST = Trust(INSTANCE, (TrustedKey("k", "checkpoints", "ed25519", PUBLIC, NOW, None),))


@dataclass
class HeldKey:
    """A key that is always at hand, unless it is taken away."""

    signer: LeasedSigner | None = field(default_factory=lambda: LeasedSigner(SEED))

    async def find_signer(self) -> LeasedSigner | None:
        return self.signer


@dataclass
class Logs:
    """The logs of one database."""

    database: ServiceDatabase
    sequencing: CrossingDatabase
    key: HeldKey = field(default_factory=HeldKey)
    metrics: Metrics = field(default_factory=lambda: Metrics("audit"))
    clock: Clock = field(default_factory=SystemClock)
    positions: dict[int, int] = field(default_factory=dict)

    def integrator(self) -> Integrate:
        """Return an integrator that has seen nothing yet."""
        signs = IntegrationSigns(self.metrics)
        return Integrate(PostgresLedgers(self.sequencing), self.key, INSTANCE, self.clock, signs)

    async def sequence(
        self, facts: Sequence[tuple[TenantId, Fact]], part: int = 3, source: str = "identity"
    ) -> None:
        """Give facts their entries, as the projector of `source` does."""
        apply = fact_door(source, PostgresJournal, SystemRandomness(), lambda _count: None)
        records = []
        for tenant, fact in facts:
            self.positions[part] = self.positions.get(part, 0) + 1
            body = encode(fact, id=uuid4(), time=NOW, tenant=tenant)
            records.append(StreamRecord(part, self.positions[part], tenant, fact.name, body))
        for start in range(0, len(records), 500):
            async with self.sequencing.begin() as tx:
                await apply(tx, records[start : start + 500])

    async def integrate(self, integrator: Integrate | None = None) -> None:
        """Grow the trees until nothing more is due."""
        integrator = integrator or self.integrator()
        async with PostgresLedgers(self.sequencing).hold() as ledger:
            assert ledger is not None
            while await integrator.round(ledger):
                pass

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement as a superuser whom no trigger stops."""
        with psycopg.connect(self.database.admin_dsn.reveal(), autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []


def act(action: str = "identity.role.granted", actor: UUID | None = None) -> IdentityFact:
    """Return a fact with two entities and an approval."""
    return IdentityFact(
        act=uuid4(),
        action=action,
        actor=Actor(kind="principal", id=actor or uuid4()),
        at=NOW,
        entities=(Entity(kind="principal", id=str(uuid4())), Entity(kind="role", id="it_admin")),
        approvals=(uuid4(),),
    )


@asynccontextmanager
async def logs_in(database: ServiceDatabase) -> AsyncIterator[Logs]:
    """Open the logs of `database`."""
    sequencing = CrossingDatabase(database.dsn("audit_sequencer"), "test", by_key=True)
    await sequencing.open()
    try:
        yield Logs(database, sequencing)
    finally:
        await sequencing.close()
