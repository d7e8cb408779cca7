"""The tenants whose messages wait to be indexed, because something of theirs was refused."""

from typing import Final

from libs.db.pool import CrossingDatabase
from libs.kernel.ids import TenantId

_WAITING: Final = """
    SELECT DISTINCT p.tenant FROM ediscovery.parked p
     WHERE p.consumer = %s AND p.source = %s ORDER BY p.tenant"""


class PostgresWaitingTenants:
    """Reads the projector's own rows by its role, ediscovery_projector."""

    def __init__(self, database: CrossingDatabase, consumer: str, source: str) -> None:
        """Look for events that the projector `consumer` of `source` put aside."""
        self._database = database
        self._key = (consumer, source)

    async def __call__(self) -> list[TenantId]:
        """Return the tenants."""
        async with self._database.begin() as tx:
            return [TenantId(row.tenant) for row in await tx.fetch_all(_WAITING, self._key)]
