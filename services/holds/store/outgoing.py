"""What leaves with a transaction: events and audit facts, in the outbox of the same commit."""

from collections.abc import Sequence
from typing import Final

from libs.contracts.events import Event
from libs.db.pool import Transaction
from libs.events.outbox import append, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.holds.ports.register import Outgoing

SCHEMA: Final = "holds"


async def publish(
    tx: Transaction, outgoing: Sequence[tuple[TenantId, Outgoing]], ids: Ids, clock: Clock
) -> None:
    """Append events of their tenants, in order."""
    await append(tx, SCHEMA, [record_of(_event(each), tenant, ids, clock) for tenant, each in outgoing])


def _event(outgoing: Outgoing) -> Event:
    if not isinstance(outgoing, Event):
        msg = "only events of the contracts are published"
        raise TypeError(msg)
    return outgoing
