"""Tell the audit log of denials: who was refused what, and how often within a minute."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.kernel.denials import Denial, Denials, write_due
from libs.kernel.ids import Ids, TenantId
from services.identity.domain.acts import denied
from services.identity.ports.store import Database


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
        await write_due(self.denials, self._write, everything=everything)

    async def _write(self, tenant: TenantId, denials: Sequence[Denial]) -> None:
        rows = [(self.ids.uuid7(), denial) for denial in denials]
        async with self.database.begin(tenant) as tx:
            await tx.denials.add(rows)
            await tx.publish(*(denied(denial, row) for row, denial in rows))
