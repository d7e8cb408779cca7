"""What stores confirm, within a projector's transaction, by the role retention_projector."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.db.pool import Transaction
from libs.kernel.ids import TenantId

_IS_RUN: Final = """
    SELECT FROM retention.disposition_order o WHERE o.tenant = %s AND o.order_id = %s AND o.kind = 'run'"""
_ITEMS: Final = """
    INSERT INTO retention.confirmation (tenant, event, order_id, store, items, at)
    VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""
_DEKS: Final = """
    INSERT INTO retention.shredded (tenant, order_id, dek, unrecoverable_after, at)
    SELECT %s, %s, k.dek, %s, %s FROM unnest(%s::uuid[]) AS k (dek) ON CONFLICT DO NOTHING"""


class PostgresConfirmations:
    """Keeps what stores confirm, beside the projector's cursor."""

    def __init__(self, tx: Transaction) -> None:
        """Write in `tx`."""
        self._tx = tx

    async def is_run(self, tenant: TenantId, order: UUID) -> bool:
        """Say whether an order was given to be carried out."""
        return await self._tx.fetch_one(_IS_RUN, (tenant, order)) is not None

    async def add_items(
        self, tenant: TenantId, store: str, order: UUID, event: UUID, items: int, at: datetime
    ) -> None:
        """Keep that a store has let go of so many more items; a repeat changes nothing."""
        await self._tx.execute(_ITEMS, (tenant, event, order, store, items, at))

    async def add_deks(
        self, tenant: TenantId, order: UUID, deks: Sequence[UUID], unrecoverable_after: datetime, at: datetime
    ) -> None:
        """Keep that these data keys are shredded; a repeat changes nothing."""
        await self._tx.execute(_DEKS, (tenant, order, unrecoverable_after, at, list(deks)))
