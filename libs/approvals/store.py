"""Requests as rows: each is decided, and used, by one guarded UPDATE, so that two cannot both do it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.approvals.errors import NotApproved, RequestDecided, RequestNotFound
from libs.approvals.request import Request, State, decide_decision, decide_use
from libs.db.names import identifier_of
from libs.db.pool import Transaction
from libs.kernel.ids import PrincipalId, TenantId

_COLUMNS = (
    "tenant, request, act, subject, digest, requester, reason, barred, requested_at, expires_at,"
    " decided_by, decided_at, approved, used_at"
)


class Approvals:
    """The requests of one service, within transactions that are bound to their tenant."""

    def __init__(self, schema: str) -> None:
        """Keep them in `<schema>.approval`, which `libs.approvals.tables` makes."""
        table = f"{identifier_of(schema)}.approval"
        self._insert = f"""
            INSERT INTO {table} (tenant, request, act, subject, digest, requester, reason, barred,
                   requested_at, expires_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s::uuid[], %s, %s)"""
        self._find = f"SELECT {_COLUMNS} FROM {table} WHERE tenant = %s AND request = %s"
        self._latest = f"""
            SELECT {_COLUMNS} FROM {table} WHERE tenant = %s AND subject = %s
             ORDER BY requested_at DESC, request DESC LIMIT 1"""
        self._listed = f"""
            SELECT {_COLUMNS} FROM {table} WHERE tenant = %s
             ORDER BY requested_at DESC, request DESC LIMIT %s"""
        self._decide = f"""
            UPDATE {table} SET decided_by = %(by)s, decided_at = %(now)s, approved = %(approved)s
             WHERE tenant = %(tenant)s AND request = %(request)s AND digest = %(digest)s
               AND decided_by IS NULL AND expires_at > %(now)s
               AND requester <> %(by)s AND %(by)s <> ALL (barred)
            RETURNING request"""
        self._use = f"""
            UPDATE {table} SET used_at = %(now)s
             WHERE tenant = %(tenant)s AND request = %(request)s AND digest = %(digest)s
               AND act = %(act)s AND subject = %(subject)s
               AND approved AND used_at IS NULL AND expires_at > %(now)s
            RETURNING request"""

    async def insert(self, tx: Transaction, request: Request) -> None:
        """Keep a new request."""
        await tx.execute(
            self._insert,
            (
                request.tenant,
                request.request,
                request.act,
                request.subject,
                request.digest,
                request.requester,
                request.reason,
                sorted(request.barred),
                request.requested_at,
                request.expires_at,
            ),
        )

    async def get(self, tx: Transaction, tenant: TenantId, request: UUID) -> Request:
        """Return a request. Raises RequestNotFound."""
        row = await tx.fetch_one(self._find, (tenant, request))
        if row is None:
            raise RequestNotFound(request)
        return _request_of(row)

    async def find_latest(self, tx: Transaction, tenant: TenantId, subject: UUID) -> Request | None:
        """Return the newest request about `subject`, or None."""
        row = await tx.fetch_one(self._latest, (tenant, subject))
        return None if row is None else _request_of(row)

    async def listed(self, tx: Transaction, tenant: TenantId, limit: int) -> list[Request]:
        """Return the newest requests of a tenant, the newest first."""
        return [_request_of(row) for row in await tx.fetch_all(self._listed, (tenant, limit))]

    async def decide(
        self,
        tx: Transaction,
        tenant: TenantId,
        request: UUID,
        approver: PrincipalId,
        digest: bytes,
        now: datetime,
        *,
        approves: bool,
    ) -> Request:
        """Approve or refuse a request that is pending, and return it as it stands then.

        Raises RequestNotFound, and what `decide_decision` raises.
        """
        decided = decide_decision(
            await self.get(tx, tenant, request), approver, digest, now, approves=approves
        )
        named = {
            "tenant": tenant,
            "request": request,
            "digest": digest,
            "by": approver,
            "now": now,
            "approved": approves,
        }
        if await tx.fetch_one(self._decide, named) is None:  # somebody decided since it was read
            raise RequestDecided(request, (await self.get(tx, tenant, request)).state(now))
        return decided

    async def use(
        self, tx: Transaction, asked: Request, act: str, subject: UUID, digest: bytes, now: datetime
    ) -> Request:
        """Use the approval of `asked` for an act, in the transaction of this act and nowhere else.

        Raises what `decide_use` raises; an approval serves once, however many try at the same time.
        """
        current = await self.get(tx, asked.tenant, asked.request)
        used = decide_use(current, act, subject, digest, now)
        named = {
            "tenant": used.tenant,
            "request": used.request,
            "digest": digest,
            "act": act,
            "subject": subject,
            "now": now,
        }
        if await tx.fetch_one(self._use, named) is None:
            raise NotApproved(used.request, State.USED)
        return used


class TenantApprovals:
    """One tenant's requests within one transaction."""

    def __init__(self, schema: str, tx: Transaction, tenant: TenantId) -> None:
        """Work within `tx`, which is bound to `tenant`, on the requests of the service `schema`."""
        self._tx = tx
        self._tenant = tenant
        self._approvals = Approvals(schema)

    async def insert(self, request: Request) -> None:
        """Keep a new request."""
        await self._approvals.insert(self._tx, request)

    async def get(self, request: UUID) -> Request:
        """Return a request. Raises RequestNotFound."""
        return await self._approvals.get(self._tx, self._tenant, request)

    async def find_latest(self, subject: UUID) -> Request | None:
        """Return the newest request about a subject."""
        return await self._approvals.find_latest(self._tx, self._tenant, subject)

    async def listed(self, limit: int) -> list[Request]:
        """Return the newest requests, the newest first."""
        return await self._approvals.listed(self._tx, self._tenant, limit)

    async def decide(
        self, request: UUID, approver: PrincipalId, digest: bytes, now: datetime, *, approves: bool
    ) -> Request:
        """Approve or refuse. Raises what `Approvals.decide` raises."""
        return await self._approvals.decide(
            self._tx, self._tenant, request, approver, digest, now, approves=approves
        )

    async def use(self, request: Request, act: str, subject: UUID, digest: bytes, now: datetime) -> Request:
        """Use an approval. Raises what `Approvals.use` raises."""
        return await self._approvals.use(self._tx, request, act, subject, digest, now)


def _request_of(row: Any) -> Request:
    return Request(
        request=row.request,
        tenant=TenantId(row.tenant),
        act=row.act,
        subject=row.subject,
        digest=bytes(row.digest),
        requester=PrincipalId(row.requester),
        reason=row.reason,
        barred=frozenset(PrincipalId(each) for each in row.barred),
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        decided_by=None if row.decided_by is None else PrincipalId(row.decided_by),
        decided_at=row.decided_at,
        approved=row.approved,
        used_at=row.used_at,
    )
