"""The stream doors: what executors answer and do, and what stores confirm, taken in by the projector."""

from collections.abc import Callable

from libs.contracts.events import CloudEvent, event_of
from libs.contracts.retention import DeksShredded, ItemsExpunged, OrderAnswered, OrderCompleted
from libs.db.pool import Transaction
from libs.events.effects import Apply
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.retention.ports.books import Answers
from services.retention.ports.certificates import Confirmations
from services.retention.usecases.certify import take_expunged, take_shredded
from services.retention.usecases.orders import take_answer
from services.retention.usecases.runs import take_completion


def confirmation_door(
    store: str, confirmations_in: Callable[[Transaction], Confirmations], clock: Clock
) -> Apply:
    """Return what the projector of a store's stream applies."""

    async def apply(tx: Transaction, envelope: CloudEvent, _position: int) -> None:
        event, tenant = event_of(envelope), TenantId(envelope.tenant)
        if isinstance(event, ItemsExpunged):
            await take_expunged(confirmations_in(tx), tenant, store, envelope.id, event, clock.now())
        if isinstance(event, DeksShredded):
            await take_shredded(confirmations_in(tx), tenant, event, clock.now())

    return apply


def answer_door(executor: str, answers_in: Callable[[Transaction], Answers], clock: Clock, ids: Ids) -> Apply:
    """Return what the projector of an executor's stream applies."""

    async def apply(tx: Transaction, envelope: CloudEvent, _position: int) -> None:
        event, tenant = event_of(envelope), TenantId(envelope.tenant)
        if isinstance(event, OrderAnswered):
            await take_answer(answers_in(tx), tenant, executor, event, clock.now(), ids)
        if isinstance(event, OrderCompleted):
            await take_completion(answers_in(tx), tenant, executor, event, clock.now(), ids)

    return apply
