"""Shredding on PostgreSQL, by the role keys_shredder, which can read no wrapped key and alone remove one.

Every statement names its tenant.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.barrier.errors import GenerationPassed
from libs.barrier.generation import generation_of, share_generation
from libs.contracts.events import Event
from libs.contracts.facts import KeysFact
from libs.db.pool import Transaction
from libs.events.outbox import OutboxRecord, append, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId, DekId, Ids, TenantId
from services.keys.domain.deks import DekScope
from services.keys.ports.shredding import Told
from services.keys.store import facts

_SCHEMA: Final = "keys"

_STOPPED: Final = "SELECT FROM keys.parked p WHERE p.tenant = %s LIMIT 1"

_KNOWN: Final = "SELECT count(*) AS known FROM keys.dek d WHERE d.tenant = %s AND d.dek = ANY (%s::uuid[])"

# Sorted, so that two who shred the same keys wait for each other in one order.
_TOLD: Final = """
    INSERT INTO keys.shredding (tenant, order_id, dek, generation, at, unrecoverable_after)
    SELECT %s, %s, k.dek, %s, %s, %s FROM unnest(%s::uuid[]) AS k (dek) ORDER BY k.dek
    ON CONFLICT (tenant, order_id, dek) DO NOTHING
    RETURNING dek
"""

_SHRED: Final = """
    UPDATE keys.dek d SET wrapped = NULL, shredded_at = %s
     WHERE d.tenant = %s AND d.dek = ANY (%s::uuid[]) AND d.shredded_at IS NULL
    RETURNING d.dek, d.conversation, d.epoch
"""


class PostgresShredding:
    """Shreds keys within one transaction, and collects what leaves with it."""

    def __init__(self, tx: Transaction, clock: Clock, ids: Ids) -> None:
        """Work within `tx`."""
        self._tx = tx
        self._clock = clock
        self._ids = ids
        self._records: dict[TenantId, list[OutboxRecord]] = defaultdict(list)

    async def share(self, tenant: TenantId) -> int:
        """Share the tenant's generation of holds to the commit, and return it: call it first."""
        generation = await generation_of(self._tx, _SCHEMA, tenant)
        try:
            await share_generation(self._tx, _SCHEMA, tenant, generation)
        except GenerationPassed as passed:  # it was raised between the two; the row is shared all the same
            return passed.current
        return generation

    async def is_stopped(self, tenant: TenantId) -> bool:
        """Say whether an event of the tenant is parked: it may be a hold, and nothing is destroyed."""
        return await self._tx.fetch_one(_STOPPED, (tenant,)) is not None

    async def missing(self, tenant: TenantId, deks: Sequence[DekId]) -> int:
        """Return how many of these the tenant never had."""
        row = await self._tx.fetch_one(_KNOWN, (tenant, list(deks)))
        return len(set(deks)) - (0 if row is None else int(row.known))

    async def shred(
        self,
        tenant: TenantId,
        order: UUID,
        generation: int,
        deks: Sequence[DekId],
        at: datetime,
        unrecoverable_after: datetime,
    ) -> list[DekId]:
        """Shred keys, each once, and return those of which this order has not been told before."""
        row = (tenant, order, generation, at, unrecoverable_after, list(deks))
        told = [DekId(each.dek) for each in await self._tx.fetch_all(_TOLD, row)]
        for gone in await self._tx.fetch_all(_SHRED, (at, tenant, told)):
            scope = DekScope(tenant, ConversationId(gone.conversation), gone.epoch)
            fact = facts.dek_shredded(self._ids.uuid7(), DekId(gone.dek), scope, order, at)
            self._note(tenant, fact)
        return told

    def tell(self, tenant: TenantId, event: Told) -> None:
        """Let an event leave with the transaction."""
        if not isinstance(event, Event):
            msg = "only events of the contracts are published"
            raise TypeError(msg)
        self._note(tenant, event)

    async def append(self) -> None:
        """Append everything to the outbox: the last statement before the projector moves on."""
        await append(self._tx, _SCHEMA, [record for own in self._records.values() for record in own])

    def _note(self, tenant: TenantId, event: Event) -> None:
        subject = event.action if isinstance(event, KeysFact) else None
        self._records[tenant].append(record_of(event, tenant, self._ids, self._clock, subject=subject))


@asynccontextmanager
async def shredding_in(tx: Transaction, clock: Clock, ids: Ids) -> AsyncIterator[PostgresShredding]:
    """Shred within a projector's transaction; what is to be told is appended at the end."""
    shredding = PostgresShredding(tx, clock, ids)
    yield shredding
    await shredding.append()
