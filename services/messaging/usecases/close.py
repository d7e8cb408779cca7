"""Close data keys under which something was destroyed, until nothing is left that they open.

A body that was destroyed lies on in backups of this database. It is gone for good with its key; so its key
has to die, and whatever else the key had sealed is sealed anew before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from libs.kernel.clock import Clock
from libs.kernel.ids import DekId, TenantId
from services.messaging.domain.bodies import packed, unpacked
from services.messaging.domain.entries import ConversationKey
from services.messaging.domain.epochs import is_quiet
from services.messaging.domain.errors import SealingDiffers
from services.messaging.ports import BodyKey, Closing, ClosingKeys, Closings, StatedClosings, Survivor

CLOSE_SECONDS: Final = 1.0
"""How often it is looked for keys to close."""
MOST_KEYS: Final = 500
"""Keys of one statement."""
MOST_SURVIVORS: Final = 200
"""Records that one transaction replaces: for so long a hold that arrives may have to wait."""
UNDER_WAY: Final = timedelta(seconds=60)
"""A key may be under way to a gateway while it is retired, and a send may take a while to its commit. To wait
for less refuses such a send, which succeeds under the next key; it destroys nothing too early."""
AGAIN: Final = timedelta(seconds=10)
"""How long it takes to say again what the key service could not take yet."""


@dataclass(frozen=True, slots=True)
class CloseKeys:
    """Closes the keys of runs that are over; whatever it did last is kept, and it goes on from there.

    A key goes one way: it is retired (the key service gives its successor), fenced (the database takes
    nothing under it), emptied (survivors are sealed anew), stated empty, and then shredded by the key
    service. `ring_age` is how long a gateway keeps a key in memory; `under_way` is for keys that are on their
    way to one, and sends on their way from it.
    """

    closings: Closings
    keys: ClosingKeys
    clock: Clock
    ring_age: timedelta
    under_way: timedelta = UNDER_WAY

    async def __call__(self) -> None:
        """Do what can be done now. Raises the first failure when all orders had their turn."""
        failures: list[Exception] = []
        for tenant, order in await self.closings.waiting():
            try:
                await self.close(tenant, order)
            except Exception as error:  # noqa: BLE001 - raised again below
                failures.append(error)
        for failure in failures[:1]:
            raise failure

    async def close(self, tenant: TenantId, order: UUID) -> None:
        """Do what can be done now for the keys of one order; one that fails keeps no other from its end."""
        await self._retire(tenant, order)
        await self._fence(tenant, order)
        failure = await self._empty(tenant, order)
        while await self.closings.state_empty(tenant, order, MOST_KEYS):
            pass
        if failure is not None:
            raise failure

    async def _retire(self, tenant: TenantId, order: UUID) -> None:
        while deks := await self.closings.unretired(tenant, order, MOST_KEYS):
            await self.keys.retire(tenant, order, deks)
            await self.closings.note_retired(tenant, order, deks)

    async def _fence(self, tenant: TenantId, order: UUID) -> None:
        """Fence what nobody seals under any more; whoever still did would be refused, and send again."""
        while retired := await self.closings.unfenced(tenant, order, MOST_KEYS):
            now = self.clock.now()
            idle = [
                each.closing.dek
                for each in retired
                if each.at + self.ring_age + self.under_way <= now
                or is_quiet(each.closing.month, now, brought=each.brought)
            ]
            if idle:
                await self.closings.fence(tenant, order, idle)
            if len(idle) < len(retired):
                return

    async def _empty(self, tenant: TenantId, order: UUID) -> Exception | None:
        """Seal anew what is left under the keys; return the first failure."""
        failure: Exception | None = None
        for closing in await self.closings.filled(tenant, order, MOST_KEYS):
            try:
                await self._seal_anew(tenant, order, closing)
            except Exception as error:  # noqa: BLE001 - raised by the caller
                failure = failure or error
        return failure

    async def _seal_anew(self, tenant: TenantId, order: UUID, closing: Closing) -> None:
        old, new = await self.keys.pair(tenant, order, closing)
        key = ConversationKey(tenant, closing.conversation)
        after = 0
        while survivors := await self.closings.survivors(tenant, closing, after, MOST_SURVIVORS):
            anew = [sealed_anew(survivor, key, old, new) for survivor in survivors]
            await self.closings.replace(tenant, closing, new.dek, anew)
            after = survivors[-1].seq


def sealed_anew(survivor: Survivor, key: ConversationKey, old: BodyKey, new: BodyKey) -> Survivor:
    """Return a record sealed under the key `new`, in its place, byte by byte what the old one says.

    Raises RecordRefused for one that does not open at its place, and SealingDiffers.
    """
    clear = old.open(survivor.sealed, key, survivor.message, survivor.revision)
    sealed = new.seal(clear, key, survivor.message, survivor.revision)
    opened = new.open(sealed, key, survivor.message, survivor.revision)
    if opened != clear or packed(unpacked(opened)) != clear:
        raise SealingDiffers(survivor.seq)
    return survivor._replace(sealed=sealed)


async def take_shredded(
    closings: StatedClosings, tenant: TenantId, order: UUID, deks: Sequence[DekId], at: datetime
) -> None:
    """Take in that keys are gone, within the transaction of a projector."""
    await closings.note_shredded(tenant, order, deks, at)


async def take_kept(
    closings: StatedClosings,
    tenant: TenantId,
    order: UUID,
    deks: Sequence[DekId],
    generation: int,
    now: datetime,
) -> None:
    """Take in that keys were kept, because the key service stands at `generation` of the holds."""
    await closings.state_again(tenant, order, deks, generation, now, now + AGAIN)
