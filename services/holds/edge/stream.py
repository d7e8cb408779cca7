"""The stream doors: what an executor says that it has confirmed, and who is in the directory."""

from collections.abc import Callable, Sequence

from libs.contracts.events import CloudEvent, decode, event_of
from libs.contracts.holds import GenerationConfirmed
from libs.db.pool import Transaction
from libs.events.effects import ApplyMany, one_by_one
from libs.events.records import StreamRecord
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.holds.ports.register import Confirmations, Confirmed
from services.holds.usecases.confirm import confirm
from services.holds.usecases.know import Principals, know


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


def directory_door(principals_in: Callable[[Transaction], Principals]) -> ApplyMany:
    """Return what the projector of identity's stream applies."""

    async def apply(tx: Transaction, envelope: CloudEvent, _position: int) -> None:
        event = event_of(envelope)
        if event is not None:
            await know(principals_in(tx), TenantId(envelope.tenant), event)

    return one_by_one(apply)
