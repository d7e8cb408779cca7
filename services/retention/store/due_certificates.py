"""Which runs wait for their certificate, of every tenant: ids alone, by the role retention_projector."""

from typing import Final
from uuid import UUID

from libs.db.pool import CrossingDatabase
from libs.kernel.ids import TenantId

_WAITING: Final = """
    SELECT c.tenant, c.order_id FROM retention.completion c
     WHERE c.executor = 'messaging' AND (c.told ->> 'destroyed')::bigint > 0
       AND NOT EXISTS (SELECT FROM retention.certificate k
                        WHERE k.tenant = c.tenant AND k.certificate = c.order_id)
     ORDER BY c.tenant, c.order_id"""


class PostgresDueCertificates:
    """The runs that destroyed something and have no certificate yet."""

    def __init__(self, database: CrossingDatabase) -> None:
        """Use the pool `database`."""
        self._database = database

    async def waiting(self) -> list[tuple[TenantId, UUID]]:
        """Return them, each tenant's oldest first."""
        async with self._database.begin() as tx:
            return [(TenantId(row.tenant), row.order_id) for row in await tx.fetch_all(_WAITING)]
