"""The stream door: identity's events, applied to messaging's copy of the directory."""

from collections.abc import Awaitable, Callable

from libs.contracts.events import CloudEvent, event_of
from libs.db.pool import Transaction
from libs.kernel.ids import TenantId
from services.messaging.usecases.know import Principals, know

Apply = Callable[[Transaction, CloudEvent, int], Awaitable[None]]


def directory_door(principals_in: Callable[[Transaction], Principals]) -> Apply:
    """Return what the projector of identity's stream applies, within the projector's transaction."""

    async def apply(tx: Transaction, envelope: CloudEvent, _position: int) -> None:
        event = event_of(envelope)
        if event is not None:
            await know(principals_in(tx), TenantId(envelope.tenant), event)

    return apply
