"""The stream door: what an executor says that it has confirmed."""

from collections.abc import Callable, Sequence

from libs.contracts.events import decode
from libs.contracts.holds import GenerationConfirmed
from libs.db.pool import Transaction
from libs.events.effects import ApplyMany
from libs.events.records import StreamRecord
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids
from services.holds.ports.register import Confirmations, Confirmed
from services.holds.usecases.confirm import confirm


def confirmation_door(
    executor: str, confirmations_in: Callable[[Transaction], Confirmations], clock: Clock, ids: Ids
) -> ApplyMany:
    """Return what the projector of the stream of `executor` applies; other events mean nothing here."""
    name = f"{executor}.generation.confirmed.v1"

    async def apply(tx: Transaction, records: Sequence[StreamRecord]) -> None:
        confirmed = [
            Confirmed(record.tenant, executor, event.generation)
            for record in records
            if record.name == name and isinstance(event := decode(record.body)[1], GenerationConfirmed)
        ]
        if confirmed:
            await confirm(confirmations_in(tx), confirmed, clock.now(), ids)

    return apply
