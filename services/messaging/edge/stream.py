"""The stream doors: the directory, for messaging's copy of it, orders of disposition, what became of keys."""

from collections.abc import Awaitable, Callable

from libs.contracts.events import CloudEvent, event_of
from libs.contracts.retention import DeksKept, DeksShredded, DispositionOrderIssued
from libs.db.pool import Transaction
from libs.kernel.clock import Clock
from libs.kernel.ids import DekId, TenantId
from services.messaging.ports import ReceivedOrders, StatedClosings
from services.messaging.usecases.close import take_kept, take_shredded
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


def closing_door(closings_in: Callable[[Transaction], StatedClosings], clock: Clock) -> Apply:
    """Return what the projector of the key service's stream applies, within the projector's transaction."""

    async def apply(tx: Transaction, envelope: CloudEvent, _position: int) -> None:
        event, tenant = event_of(envelope), TenantId(envelope.tenant)
        match event:
            case DeksShredded(order=order, deks=deks):
                await take_shredded(closings_in(tx), tenant, order, [*map(DekId, deks)], clock.now())
            case DeksKept(order=order, deks=deks, generation=generation):
                named = [*map(DekId, deks)]
                await take_kept(closings_in(tx), tenant, order, named, generation, clock.now())

    return apply
