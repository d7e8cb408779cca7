"""What is to be made, of every tenant, by the role ediscovery_projector."""

from datetime import datetime
from typing import Final
from uuid import UUID

from libs.db.pool import CrossingDatabase
from libs.kernel.ids import TenantId

_DUE: Final = "SELECT d.tenant, d.production FROM ediscovery.production_due d ORDER BY d.production, d.tenant"
_MADE_BEFORE: Final = """
    SELECT m.tenant, m.production FROM ediscovery.production_made m
      LEFT JOIN ediscovery.production_removed r ON r.tenant = m.tenant AND r.production = m.production
     WHERE m.made_at < %s AND r.production IS NULL ORDER BY m.made_at, m.tenant, m.production"""


class PostgresQueue:
    """Tells what is due, until it is made."""

    def __init__(self, database: CrossingDatabase) -> None:
        """Use the pool `database`."""
        self._database = database

    async def due(self) -> list[tuple[TenantId, UUID]]:
        """Return the productions that are approved and not made, the oldest first."""
        async with self._database.begin() as tx:
            return [(TenantId(row.tenant), row.production) for row in await tx.fetch_all(_DUE)]

    async def made_before(self, moment: datetime) -> list[tuple[TenantId, UUID]]:
        """Return the productions that were made before a moment and are still there, the oldest first."""
        async with self._database.begin() as tx:
            rows = await tx.fetch_all(_MADE_BEFORE, (moment,))
        return [(TenantId(row.tenant), row.production) for row in rows]
