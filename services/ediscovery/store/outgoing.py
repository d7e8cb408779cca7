"""What transactions of eDiscovery share: records for the outbox, and a way to wait for an engine."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final

from libs.contracts.events import Event
from libs.db.pool import Transaction
from libs.events.outbox import OutboxRecord, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.ediscovery.ports.books import Outgoing

_ALIVE_SECONDS: Final = 10.0
"""How often a transaction that waits says something: PostgreSQL ends one that is silent for a minute."""


def records_of(events: Sequence[Outgoing], tenant: TenantId, ids: Ids, clock: Clock) -> list[OutboxRecord]:
    """Return the records. Raises TypeError for what is no event."""
    records = []
    for event in events:
        if not isinstance(event, Event):
            msg = "only events of the contracts are published"
            raise TypeError(msg)
        records.append(record_of(event, tenant, ids, clock))
    return records


async def alive_during(tx: Transaction, work: Awaitable[None]) -> None:
    """Wait for `work`; it is given up when the transaction, with all that it locks, is lost."""
    working = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([working], timeout=_ALIVE_SECONDS))[0]:
            await tx.execute("SELECT")
    finally:
        working.cancel()  # which does nothing to what is done
        await asyncio.wait([working])
    working.result()
