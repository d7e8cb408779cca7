"""Transactions of identity's PostgreSQL, as the use cases see them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

from libs.contracts.events import Event
from libs.contracts.facts import Actor, Entity, IdentityFact
from libs.db.pool import TenantDatabase, Transaction
from libs.events.outbox import OutboxRecord, append, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.identity.domain.acts import Act
from services.identity.ports.store import Fact
from services.identity.store.credentials import PostgresCredentials
from services.identity.store.denials import PostgresDenials
from services.identity.store.principals import PostgresPrincipals
from services.identity.store.roles import PostgresRoles
from services.identity.store.sessions import PostgresSessions
from services.identity.store.tenants import PostgresTenants

SCHEMA = "identity"


class PostgresTransaction:
    """One tenant's transaction, noun by noun."""

    def __init__(self, tx: Transaction, tenant: TenantId, clock: Clock, ids: Ids) -> None:
        """Speak through `tx`, which row-level security binds to `tenant`."""
        self._tx = tx
        self._tenant = tenant
        self._clock = clock
        self._ids = ids
        self.tenants = PostgresTenants(tx, tenant)
        self.principals = PostgresPrincipals(tx, tenant)
        self.roles = PostgresRoles(tx, tenant)
        self.credentials = PostgresCredentials(tx, tenant)
        self.sessions = PostgresSessions(tx, tenant)
        self.denials = PostgresDenials(tx)

    async def publish(self, *facts: Fact | Act) -> None:
        """Append events and acts to the outbox, in order: the last statement of the transaction."""
        await append(self._tx, SCHEMA, [self._record_of(fact) for fact in facts])

    def _record_of(self, fact: Fact | Act) -> OutboxRecord:
        if isinstance(fact, Act):
            fact = fact_of(fact, fact.id or self._ids.uuid7())
        if not isinstance(fact, Event):
            msg = "only events of the contracts are published"
            raise TypeError(msg)
        return record_of(fact, self._tenant, self._ids, self._clock)


def fact_of(act: Act, id: UUID) -> IdentityFact:  # noqa: A002 - the act's id
    """Return an act as the audit log is told of it."""
    return IdentityFact(
        act=id,
        action=act.action,
        actor=Actor(kind=act.by.kind, id=act.by.id),
        at=act.at,
        entities=tuple(Entity(kind=kind, id=str(name)) for kind, name in act.on),
        outcome=act.outcome,
        count=act.count,
    )


class PostgresDatabase:
    """Begins transactions of one tenant each."""

    def __init__(self, database: TenantDatabase, clock: Clock, ids: Ids) -> None:
        """Use the pool `database`; events get their time and id from `clock` and `ids`."""
        self._database = database
        self._clock = clock
        self._ids = ids

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[PostgresTransaction]:
        """Begin a transaction that commits unless its block raises."""
        return self._begin(tenant)

    @asynccontextmanager
    async def _begin(self, tenant: TenantId) -> AsyncIterator[PostgresTransaction]:
        async with self._database.begin(tenant) as tx:
            yield PostgresTransaction(tx, tenant, self._clock, self._ids)
