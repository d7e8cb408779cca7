"""The stream door: what messaging has emptied, taken in within the projector's transaction."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from libs.contracts.events import decode
from libs.contracts.retention import KeysEmptied
from libs.db.pool import Transaction
from libs.events.effects import ApplyMany, EffectFailed
from libs.events.records import StreamRecord
from libs.kernel.clock import Clock
from services.keys.domain.errors import DeksUnknown
from services.keys.ports.shredding import Shredding
from services.keys.usecases.shred import shred

ShreddingIn = Callable[[Transaction], AbstractAsyncContextManager[Shredding]]


def shred_door(shredding_in: ShreddingIn, clock: Clock, backups: timedelta) -> ApplyMany:
    """Return what the projector of messaging's stream applies: most of that stream is passed over."""

    async def apply(tx: Transaction, records: Sequence[StreamRecord]) -> None:
        emptied = [record for record in records if record.name == KeysEmptied.name]
        if not emptied:
            return
        async with shredding_in(tx) as shredding:
            # In the order of tenants, as whoever raises their generations: nobody waits in a circle.
            for record in sorted(emptied, key=lambda each: (each.tenant, each.part, each.position)):
                try:
                    _, event = decode(record.body)
                    if isinstance(event, KeysEmptied):
                        await shred(shredding, record.tenant, event, clock.now(), backups)
                except (ValueError, DeksUnknown) as error:
                    raise EffectFailed(record, type(error).__name__) from error

    return apply
