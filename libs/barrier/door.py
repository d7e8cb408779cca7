"""The stream door of an executor: changes of holds, taken in and confirmed in one transaction."""

from collections.abc import Sequence

from libs.barrier.errors import GenerationSkipped
from libs.barrier.generation import raise_generation
from libs.barrier.held import end_hold, keep_hold
from libs.contracts.events import decode
from libs.contracts.holds import GenerationConfirmed, HoldPlaced, HoldReleased
from libs.db.pool import Transaction
from libs.events.effects import ApplyMany, EffectFailed
from libs.events.outbox import append, record_of
from libs.events.records import StreamRecord
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId

SOURCE = "holds"
"""Whose stream it is."""


def hold_door(schema: str, confirmed: type[GenerationConfirmed], clock: Clock, ids: Ids) -> ApplyMany:
    """Return what the projector of the stream of holds applies in the executor that owns `schema`.

    It keeps the holds, raises the generations, and appends a `confirmed` for each tenant to the outbox of
    `schema`: all in the projector's transaction, which waits for what is being destroyed. The outbox comes
    last, since a destroying transaction may wait for its heads while it shares a generation.
    """

    async def apply(tx: Transaction, records: Sequence[StreamRecord]) -> None:
        reached: dict[TenantId, int] = {}
        # In the order of tenants: two that raise several generations never wait for each other in a circle.
        for record in sorted(records, key=lambda each: (each.tenant, each.part, each.position)):
            generation = await _take_in(tx, schema, record)
            if generation is not None:
                reached[record.tenant] = generation
        outgoing = [
            record_of(confirmed(generation=generation), tenant, ids, clock)
            for tenant, generation in reached.items()
        ]
        await append(tx, schema, outgoing)

    return apply


async def _take_in(tx: Transaction, schema: str, record: StreamRecord) -> int | None:
    """Take in one change of holds and return its generation; None for another event, and for a repeat.

    Raises EffectFailed for an event that cannot be read or that follows one that is missing.
    """
    try:
        _, event = decode(record.body)
        if not isinstance(event, HoldPlaced | HoldReleased):
            return None
        if not await raise_generation(tx, schema, record.tenant, event.generation):
            return None
    except (ValueError, GenerationSkipped) as error:
        raise EffectFailed(record, type(error).__name__) from error
    if isinstance(event, HoldPlaced):
        await keep_hold(tx, schema, record.tenant, event)
    else:
        await end_hold(tx, schema, record.tenant, event)
    return event.generation
