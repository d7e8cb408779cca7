"""Messaging's requests that need four eyes, each decision with its fact."""

from uuid import UUID

from libs.approvals.facts import fact_of
from libs.approvals.request import Request
from libs.approvals.store import Approvals
from libs.contracts.facts import Entity, MessagingFact
from libs.db.pool import TenantDatabase
from libs.events.outbox import append, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, PrincipalId, TenantId
from services.messaging.store.unavailable import log_unavailable

APPROVALS = Approvals("messaging")
_MOST_LISTED = 200


class PostgresRequests:
    """Reads and decides by the `messaging_app` role, which row-level security binds to one tenant."""

    def __init__(self, database: TenantDatabase, ids: Ids, clock: Clock) -> None:
        """Keep them in `database`; decisions are given ids by `ids` and times by `clock`."""
        self._database = database
        self._ids = ids
        self._clock = clock

    async def listed(self, tenant: TenantId) -> list[Request]:
        """Return the newest requests of a tenant, 200 at most."""
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                return await APPROVALS.listed(tx, tenant, _MOST_LISTED)

    async def get(self, tenant: TenantId, request: UUID) -> Request:
        """Return a request. Raises RequestNotFound."""
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                return await APPROVALS.get(tx, tenant, request)

    async def decide(
        self, tenant: TenantId, request: UUID, approver: PrincipalId, digest: bytes, *, approves: bool
    ) -> Request:
        """Approve or refuse a request and tell the audit log, in one transaction."""
        now = self._clock.now()
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                decided = await APPROVALS.decide(
                    tx, tenant, request, approver, digest, now, approves=approves
                )
                fact = fact_of(
                    MessagingFact,
                    f"{decided.act}.{'approved' if approves else 'refused'}",
                    self._ids.uuid7(),
                    decided,
                    approver,
                    now,
                    Entity(kind="import", id=str(decided.subject)),
                )
                await append(tx, "messaging", [record_of(fact, tenant, self._ids, self._clock)])
        return decided
