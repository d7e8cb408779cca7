"""What is to be made, of every tenant, by the role ediscovery_projector."""

from typing import Final
from uuid import UUID

from libs.db.pool import CrossingDatabase
from libs.kernel.ids import TenantId

_DUE: Final = "SELECT d.tenant, d.production FROM ediscovery.production_due d ORDER BY d.production, d.tenant"


class PostgresQueue:
    """Tells what is due, until it is made."""

    def __init__(self, database: CrossingDatabase) -> None:
        """Use the pool `database`."""
        self._database = database

    async def due(self) -> list[tuple[TenantId, UUID]]:
        """Return the productions that are approved and not made, the oldest first."""
        async with self._database.begin() as tx:
            return [(TenantId(row.tenant), row.production) for row in await tx.fetch_all(_DUE)]
