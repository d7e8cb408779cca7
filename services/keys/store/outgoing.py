"""What leaves with a transaction: its events and its audit facts, in the outbox of the same commit."""

from typing import Final

from libs.contracts.events import Event
from libs.contracts.facts import KeysFact
from libs.db.pool import Transaction
from libs.events.outbox import OutboxRecord, append, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from libs.telemetry.tracing import Tracing

_SCHEMA: Final = "keys"


class Outgoing:
    """What happened in one transaction, appended to the outbox as its last statement."""

    def __init__(self, tenant: TenantId, clock: Clock, ids: Ids, tracing: Tracing) -> None:
        """Collect what happens to `tenant`."""
        self._tenant = tenant
        self._clock = clock
        self._ids = ids
        self._tracing = tracing
        self._records: list[OutboxRecord] = []

    def note(self, event: Event, subject: str) -> None:
        """Note one event about `subject`."""
        self._records.append(
            record_of(
                event,
                self._tenant,
                self._ids,
                self._clock,
                subject=subject,
                traceparent=self._tracing.traceparent(),
            )
        )

    def tell(self, fact: KeysFact) -> None:
        """Note one fact for the audit log."""
        self.note(fact, fact.action)

    async def append_to(self, tx: Transaction) -> None:
        """Append everything, in order."""
        await append(tx, _SCHEMA, self._records)
