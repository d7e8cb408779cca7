"""Shred data keys under which nothing is left, if messaging saw that behind the holds that stand here."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.contracts.retention import DeksKept, DeksShredded, KeysEmptied
from libs.kernel.ids import DekId, TenantId
from services.keys.domain.errors import DeksUnknown
from services.keys.ports.shredding import Shredding, Wiping


async def shred(
    shredding: Shredding, tenant: TenantId, emptied: KeysEmptied, now: datetime, backups: timedelta
) -> None:
    """Shred what is emptied, and tell of it; or tell that it is kept, and behind which holds to look again.

    `backups` is for how long a copy of the database may lie somewhere. Raises DeksUnknown.
    """
    generation = await shredding.share(tenant)
    deks = [DekId(dek) for dek in emptied.deks]
    if missing := await shredding.missing(tenant, deks):
        raise DeksUnknown(tenant, missing)
    if generation != emptied.generation or await shredding.is_stopped(tenant):
        kept = DeksKept(order=emptied.order, generation=generation, deks=emptied.deks)
        shredding.tell(tenant, kept)
        return
    until = now + backups
    told = await shredding.shred(tenant, emptied.order, generation, deks, now, until)
    if told:
        shredded = DeksShredded(
            order=emptied.order, generation=generation, deks=tuple(told), unrecoverable_after=until
        )
        shredding.tell(tenant, shredded)


@dataclass(frozen=True, slots=True)
class WipeShredded:
    """Wipes the bytes of shredded keys out of the live database, a while after they were shredded."""

    wiping: Wiping

    async def __call__(self) -> None:
        """Wipe if there is anything to wipe."""
        if await self.wiping.is_due():
            await self.wiping.wipe()
