"""The numbered revocations of all tenants in PostgreSQL, as the role identity_resolver."""

from datetime import datetime
from typing import Final

from libs.db.pool import CrossingDatabase, Transaction
from libs.kernel.ids import PrincipalId, SessionId, TenantId
from services.identity.domain.revocations import RevocationPage, Revoked

_HEAD: Final = "SELECT position FROM identity.revocation_head"
_AFTER: Final = """
SELECT position, tenant, principal, session FROM identity.revocation
 WHERE position > %s AND position <= %s ORDER BY position LIMIT %s
"""
_FIRST_SINCE: Final = "SELECT min(position) AS first FROM identity.revocation WHERE revoked_at >= %s"
_PAGE: Final = 1000


class PostgresRevocationLog:
    """Reads revocations across tenants."""

    def __init__(self, database: CrossingDatabase, page: int = _PAGE) -> None:
        """Ask `database` for at most `page` revocations at a time."""
        self._database = database
        self._page = page

    async def read_after(self, position: int) -> RevocationPage:
        """Return what was revoked after `position`."""
        async with self._database.begin() as tx:
            return await self._read(tx, position)

    async def read_since(self, instant: datetime) -> RevocationPage:
        """Return what was revoked since `instant`."""
        async with self._database.begin() as tx:
            head = await self._head(tx)
            row = await tx.fetch_one(_FIRST_SINCE, (instant,))
            return await self._read(tx, head if row is None or row.first is None else row.first - 1)

    async def _read(self, tx: Transaction, after: int) -> RevocationPage:
        """Return the page after a position; the head is read first, so that the rows reach it."""
        head = await self._head(tx)
        rows = await tx.fetch_all(_AFTER, (after, head, self._page))
        complete = len(rows) < self._page or rows[-1].position == head
        return RevocationPage(
            position=head if complete else rows[-1].position,
            since=after,
            revocations=[
                Revoked(
                    row.position, TenantId(row.tenant), PrincipalId(row.principal), SessionId(row.session)
                )
                for row in rows
            ],
            complete=complete,
        )

    async def _head(self, tx: Transaction) -> int:
        row = await tx.fetch_one(_HEAD)
        return 0 if row is None else int(row.position)
