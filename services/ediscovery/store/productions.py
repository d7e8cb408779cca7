"""Productions in PostgreSQL, within transactions of the role ediscovery_app."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.approvals.request import Request
from libs.approvals.store import Approvals
from libs.db.pool import Transaction
from libs.evidence.production.manifest import Bates, Counts, Format, Reason, Scope
from libs.kernel.ids import PrincipalId, TenantId
from services.ediscovery.domain.errors import ProductionConflict
from services.ediscovery.domain.productions.orders import (
    PRODUCTION,
    Extent,
    Failure,
    Made,
    Order,
    Removal,
    Standing,
    Wanted,
)
from services.ediscovery.ports.productions import Download

_ADD: Final = """
    INSERT INTO ediscovery.production
           (tenant, production, matter, request, format, query, bates_prefix, bates_width, bates_start,
            bates_page_characters, custodians, conversations, since, until, seen_conversations,
            seen_entries, asked_by, asked_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::uuid[], %s::uuid[], %s, %s, %s, %s, %s, %s)
    ON CONFLICT (tenant, production) DO NOTHING"""
_FIND: Final = """
    SELECT p.tenant, p.production, p.matter, p.request, p.format, p.query, p.bates_prefix, p.bates_width,
           p.bates_start, p.bates_page_characters, p.custodians, p.conversations, p.since, p.until,
           p.seen_conversations, p.seen_entries, p.asked_by, p.asked_at,
           m.act AS made_act, m.digest, m.counts::text AS counts, m.made_at,
           f.act AS failed_act, f.reason, f.failed_at, r.act AS removed_act, r.removed_at
      FROM ediscovery.production p
      LEFT JOIN ediscovery.production_made m ON m.tenant = p.tenant AND m.production = p.production
      LEFT JOIN ediscovery.production_failed f ON f.tenant = p.tenant AND f.production = p.production
      LEFT JOIN ediscovery.production_removed r ON r.tenant = p.tenant AND r.production = p.production
     WHERE p.tenant = %s AND p.production = %s"""
_OF_MATTER: Final = """
    SELECT p.production FROM ediscovery.production p
     WHERE p.tenant = %s AND p.matter = %s AND (%s::uuid IS NULL OR p.production < %s)
     ORDER BY p.production DESC LIMIT %s"""
_ADD_DUE: Final = """
    INSERT INTO ediscovery.production_due (tenant, production) VALUES (%s, %s) ON CONFLICT DO NOTHING"""
_DONE: Final = "DELETE FROM ediscovery.production_due d WHERE d.tenant = %s AND d.production = %s"
_ADD_MADE: Final = """
    INSERT INTO ediscovery.production_made (tenant, production, act, digest, counts, made_at)
    VALUES (%s, %s, %s, %s, %s::jsonb, %s)"""
_ADD_FAILED: Final = """
    INSERT INTO ediscovery.production_failed (tenant, production, act, reason, failed_at)
    VALUES (%s, %s, %s, %s, %s)"""
_ADD_REMOVED: Final = """
    INSERT INTO ediscovery.production_removed (tenant, production, act, removed_at) VALUES (%s, %s, %s, %s)
    ON CONFLICT (tenant, production) DO NOTHING"""
_ADD_TAKEN: Final = """
    INSERT INTO ediscovery.production_taken (tenant, act, production, principal, at)
    VALUES (%s, %s, %s, %s, %s)"""


class PostgresShelf:
    """One tenant's productions within one transaction."""

    def __init__(self, tx: Transaction, tenant: TenantId) -> None:
        """Work within `tx`, which is bound to `tenant`."""
        self._tx = tx
        self._tenant = tenant
        self._approvals = Approvals("ediscovery")

    async def add(self, order: Order, request: Request) -> None:
        """Keep a production that is asked for, with its request; what is kept under its id stays."""
        await self._approvals.insert(self._tx, request)
        scope, bates = order.scope, order.wanted.bates
        numbers = (None,) * 4
        if bates is not None:
            numbers = (bates.prefix, bates.width, bates.start, bates.page_characters)  # type: ignore[assignment]
        added = await self._tx.execute(
            _ADD,
            (
                self._tenant,
                order.production,
                order.matter,
                order.request,
                str(order.wanted.format),
                order.wanted.query,
                *numbers,
                None if scope.custodians is None else list(scope.custodians),
                None if scope.conversations is None else list(scope.conversations),
                scope.since,
                scope.until,
                *order.extent,
                order.asked_by,
                order.asked_at,
            ),
        )
        if not added:
            raise ProductionConflict(order.production)

    async def find(self, production: UUID) -> Standing | None:
        """Return a production."""
        row = await self._tx.fetch_one(_FIND, (self._tenant, production))
        if row is None:
            return None
        return _standing_of(row, await self.get_request(row.request))

    async def of_matter(self, matter: UUID, after: UUID | None, limit: int) -> list[Standing]:
        """Return the productions of a matter, the newest first, from behind `after` on."""
        rows = await self._tx.fetch_all(_OF_MATTER, (self._tenant, matter, after, after, limit))
        found = [await self.find(row.production) for row in rows]
        return [each for each in found if each is not None]

    async def get_request(self, request: UUID) -> Request:
        """Return a request. Raises RequestNotFound."""
        return await self._approvals.get(self._tx, self._tenant, request)

    async def requests(self, limit: int) -> list[Request]:
        """Return the newest requests, the newest first."""
        return await self._approvals.listed(self._tx, self._tenant, limit)

    async def decide(
        self, request: UUID, approver: PrincipalId, digest: bytes, now: datetime, *, approves: bool
    ) -> Request:
        """Approve or refuse."""
        return await self._approvals.decide(
            self._tx, self._tenant, request, approver, digest, now, approves=approves
        )

    async def use(self, request: Request, order: Order, digest: bytes, now: datetime) -> Request:
        """Use an approval, and let the production be made."""
        used = await self._approvals.use(self._tx, request, PRODUCTION, order.production, digest, now)
        await self._tx.execute(_ADD_DUE, (self._tenant, order.production))
        return used

    async def end(self, order: Order, outcome: Made | Failure) -> bool:
        """Keep what came of a production, which is made no more; False where that is known already."""
        if await self._tx.execute(_DONE, (self._tenant, order.production)) == 0:
            return False
        named = (self._tenant, order.production, outcome.act)
        if isinstance(outcome, Made):
            counts = json.dumps(_counts_object(outcome.counts))
            await self._tx.execute(_ADD_MADE, (*named, outcome.digest, counts, outcome.at))
        else:
            await self._tx.execute(_ADD_FAILED, (*named, outcome.reason, outcome.at))
        return True

    async def record_removal(self, production: UUID, removal: Removal) -> bool:
        """Keep that the files of a production are removed; False where that is known already."""
        return await self._tx.execute(_ADD_REMOVED, (self._tenant, production, *removal)) == 1

    async def record_download(self, download: Download) -> None:
        """Keep that somebody was given a production."""
        await self._tx.execute(
            _ADD_TAKEN, (self._tenant, download.act, download.production, download.by, download.at)
        )


def _standing_of(row: Any, request: Request) -> Standing:
    order = Order(
        TenantId(row.tenant),
        row.production,
        row.matter,
        Scope(
            None if row.conversations is None else tuple(row.conversations),
            None if row.custodians is None else tuple(row.custodians),
            row.since,
            row.until,
        ),
        Wanted(Format(row.format), row.query, _bates_of(row)),
        Extent(row.seen_conversations, row.seen_entries),
        PrincipalId(row.asked_by),
        row.asked_at,
        row.request,
    )
    made, failure, removal = None, None, None
    if row.made_at is not None:
        made = Made(row.made_act, bytes(row.digest), _counts_of(json.loads(row.counts)), row.made_at)
    if row.failed_at is not None:
        failure = Failure(row.failed_act, row.reason, row.failed_at)
    if row.removed_at is not None:
        removal = Removal(row.removed_act, row.removed_at)
    return Standing(order, request, made, failure, removal)


def _bates_of(row: Any) -> Bates | None:
    if row.bates_width is None:
        return None
    return Bates(row.bates_prefix, row.bates_width, row.bates_start, row.bates_page_characters)


def _counts_object(counts: Counts) -> Mapping[str, Any]:
    excluded = {str(reason): number for reason, number in counts.excluded.items()}
    return {
        "produced": counts.produced,
        "excluded": excluded,
        "errors": counts.errors,
        "redacted": counts.redacted,
        "pages": counts.pages,
    }


def _counts_of(value: Mapping[str, Any]) -> Counts:
    excluded = {reason: value["excluded"].get(str(reason), 0) for reason in Reason}
    return Counts(value["produced"], excluded, value["errors"], value["redacted"], value["pages"])
