"""Tell the audit log who was denied what, minute by minute."""

from collections import defaultdict
from dataclasses import dataclass

from libs.kernel.denials import Denial, Denials
from libs.kernel.ids import Ids, TenantId
from services.ediscovery.ports.books import Books
from services.ediscovery.usecases.told import fact_of_denial


@dataclass(frozen=True, slots=True)
class TellDenials:
    """Writes denials when their minute is over; they are counted in memory until then."""

    books: Books
    denials: Denials
    ids: Ids

    async def __call__(self, *, everything: bool = False) -> None:
        """Write what is due, or everything at the end. Raises DatabaseUnavailable; nothing is lost by it."""
        waiting: dict[TenantId, list[Denial]] = defaultdict(list)
        for denial in self.denials.take_due(everything=everything):
            waiting[denial.tenant].append(denial)
        try:
            for tenant in list(waiting):
                rows = [(self.ids.uuid7(), denial) for denial in waiting[tenant]]
                async with self.books.begin(tenant) as book:
                    await book.record_denials(rows)
                    await book.publish([fact_of_denial(denial, act) for act, denial in rows])
                del waiting[tenant]
        finally:
            self.denials.put_back([denial for left in waiting.values() for denial in left])
