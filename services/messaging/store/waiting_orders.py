"""Which orders of disposition wait, of every tenant: ids alone, by the role messaging_projector."""

from typing import Final
from uuid import UUID

from libs.db.pool import Transaction
from libs.kernel.ids import TenantId

_WAITING: Final = """
    SELECT o.tenant, o.order_id FROM messaging.disposition_order o
     WHERE o.kind = %s AND o.answered_at IS NULL AND o.completed_at IS NULL ORDER BY o.tenant, o.order_id"""


async def waiting_orders(tx: Transaction, kind: str) -> list[tuple[TenantId, UUID]]:
    """Return the orders of a kind that are not done, each tenant's oldest first."""
    return [(TenantId(row.tenant), row.order_id) for row in await tx.fetch_all(_WAITING, (kind,))]
