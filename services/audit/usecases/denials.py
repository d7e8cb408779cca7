"""Tell the log of its own denials: who was refused what, and how often within a minute."""

from collections import defaultdict
from dataclasses import dataclass

from libs.kernel.denials import Denial, Denials
from libs.kernel.ids import Ids, TenantId
from services.audit.ports.reading import Database
from services.audit.usecases.told import fact_of_denial


@dataclass(frozen=True, slots=True)
class RecordDenials:
    """Writes denials when their minute is over, each with its fact.

    They are counted in memory until then: a process that is killed loses at most what its last minute (and
    the few seconds between two rounds) denied. One that ends by itself writes everything first. A commit
    whose outcome stays unknown is repeated, and may be told of twice; rows and facts agree in any case.
    """

    database: Database
    denials: Denials
    ids: Ids

    async def __call__(self, *, everything: bool = False) -> None:
        """Write what is due, or everything; what could not be written is kept for the next time."""
        waiting: dict[TenantId, list[Denial]] = defaultdict(list)
        for denial in self.denials.take_due(everything=everything):
            waiting[denial.tenant].append(denial)
        try:
            for tenant in list(waiting):
                await self._write(tenant, waiting[tenant])
                del waiting[tenant]
        finally:
            self.denials.put_back([denial for denials in waiting.values() for denial in denials])

    async def _write(self, tenant: TenantId, denials: list[Denial]) -> None:
        rows = [(self.ids.uuid7(), denial) for denial in denials]
        async with self.database.begin(tenant) as tx:
            await tx.record_denials([(row, denial, fact_of_denial(denial, row)) for row, denial in rows])
