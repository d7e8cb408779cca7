"""Tell the audit log who was denied what, minute by minute."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.kernel.denials import Denial, Denials, write_due
from libs.kernel.ids import Ids, TenantId
from services.retention.ports.books import Books
from services.retention.usecases.told import fact_of_denial


@dataclass(frozen=True, slots=True)
class TellDenials:
    """Writes denials when their minute is over; they are counted in memory until then."""

    books: Books
    denials: Denials
    ids: Ids

    async def __call__(self, *, everything: bool = False) -> None:
        """Write what is due, or everything at the end. Raises DatabaseUnavailable; nothing is lost by it."""
        await write_due(self.denials, self._write, everything=everything)

    async def _write(self, tenant: TenantId, denials: Sequence[Denial]) -> None:
        rows = [(self.ids.uuid7(), denial) for denial in denials]
        async with self.books.begin(tenant) as book:
            await book.record_denials(rows)
            await book.publish([fact_of_denial(denial, act) for act, denial in rows])
