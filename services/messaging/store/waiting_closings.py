"""Which orders have keys to close, of every tenant: ids alone, by the role messaging_closer."""

from typing import Final
from uuid import UUID

from libs.db.pool import Transaction
from libs.kernel.ids import TenantId

_WAITING: Final = """
    SELECT DISTINCT c.tenant, c.order_id
      FROM messaging.closing c
     WHERE c.stated_at IS NULL AND c.shredded_at IS NULL
       AND (c.tenant, c.order_id) IN (
           SELECT o.tenant, o.order_id FROM messaging.disposition_order o WHERE o.completed_at IS NOT NULL)
     ORDER BY c.tenant, c.order_id"""


async def waiting_closings(tx: Transaction) -> list[tuple[TenantId, UUID]]:
    """Return the orders that are over and have keys to close, each tenant's oldest first."""
    return [(TenantId(row.tenant), row.order_id) for row in await tx.fetch_all(_WAITING)]
