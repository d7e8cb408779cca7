"""Tell the audit log who was denied what, minute by minute."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.kernel.denials import Denial, Denials, write_due
from libs.kernel.ids import Ids, TenantId
from services.holds.ports.register import Registers
from services.holds.usecases.told import fact_of_denial


@dataclass(frozen=True, slots=True)
class TellDenials:
    """Writes denials when their minute is over; they are counted in memory until then."""

    registers: Registers
    denials: Denials
    ids: Ids

    async def __call__(self, *, everything: bool = False) -> None:
        """Write what is due, or everything at the end. Raises HoldsUnavailable; nothing is lost by it."""
        await write_due(self.denials, self._write, everything=everything)

    async def _write(self, tenant: TenantId, denials: Sequence[Denial]) -> None:
        rows = [(self.ids.uuid7(), denial) for denial in denials]
        async with self.registers.begin(tenant) as register:
            await register.record_denials(rows)
            await register.publish([fact_of_denial(denial, act) for act, denial in rows])
