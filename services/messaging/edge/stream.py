"""The stream doors: identity's events for messaging's copy of the directory, and orders of disposition."""

from collections.abc import Awaitable, Callable

from libs.contracts.events import CloudEvent, event_of
from libs.contracts.retention import DispositionOrderIssued
from libs.db.pool import Transaction
from libs.kernel.clock import Clock
from libs.kernel.ids import TenantId
from services.messaging.ports import ReceivedOrders
from services.messaging.usecases.dispositions import take_order
from services.messaging.usecases.know import Principals, know

Apply = Callable[[Transaction, CloudEvent, int], Awaitable[None]]


def directory_door(principals_in: Callable[[Transaction], Principals]) -> Apply:
    """Return what the projector of identity's stream applies, within the projector's transaction."""

    async def apply(tx: Transaction, envelope: CloudEvent, _position: int) -> None:
        event = event_of(envelope)
        if event is not None:
            await know(principals_in(tx), TenantId(envelope.tenant), event)

    return apply


def order_door(orders_in: Callable[[Transaction], ReceivedOrders], clock: Clock) -> Apply:
    """Return what the projector of retention's stream applies, within the projector's transaction."""

    async def apply(tx: Transaction, envelope: CloudEvent, _position: int) -> None:
        event = event_of(envelope)
        if isinstance(event, DispositionOrderIssued):
            await take_order(orders_in(tx), TenantId(envelope.tenant), event, clock.now())

    return apply
