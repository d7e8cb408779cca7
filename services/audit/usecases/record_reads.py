"""Tell the log who read it as leaves, tiles, checkpoints or proofs, and how often within a minute."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.kernel.denials import Denial, Denials, write_due
from libs.kernel.ids import Ids, TenantId
from services.audit.domain.reading import LOG_READ, Reading
from services.audit.ports.reading import Database
from services.audit.usecases.told import fact_of_reading


@dataclass(frozen=True, slots=True)
class RecordReads:
    """Writes reads when their minute is over, each with its fact, as RecordDenials writes denials.

    `reads` counts by the log that was read. The reader's own tenant is told, whosever log it was.
    """

    database: Database
    reads: Denials
    ids: Ids

    async def __call__(self, *, everything: bool = False) -> None:
        """Write what is due, or everything; what could not be written is kept for the next time."""
        await write_due(self.reads, self._write, everything=everything)

    async def _write(self, tenant: TenantId, counts: Sequence[Denial]) -> None:
        readings = [self._reading_of(count) for count in counts]
        async with self.database.begin(tenant) as tx:
            await tx.record_readings([(reading, fact_of_reading(reading)) for reading in readings])

    def _reading_of(self, count: Denial) -> Reading:
        log = TenantId(UUID(count.act))
        return Reading(self.ids.uuid7(), count.principal, LOG_READ, log, "", count.minute, count.count)
