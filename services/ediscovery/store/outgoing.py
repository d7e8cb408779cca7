"""What a use case publishes, as records of the outbox."""

from collections.abc import Sequence

from libs.contracts.events import Event
from libs.events.outbox import OutboxRecord, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.ediscovery.ports.books import Outgoing


def records_of(events: Sequence[Outgoing], tenant: TenantId, ids: Ids, clock: Clock) -> list[OutboxRecord]:
    """Return the records. Raises TypeError for what is no event."""
    records = []
    for event in events:
        if not isinstance(event, Event):
            msg = "only events of the contracts are published"
            raise TypeError(msg)
        records.append(record_of(event, tenant, ids, clock))
    return records
