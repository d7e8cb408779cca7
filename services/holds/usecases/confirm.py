"""Take in executors' confirmations: a hold is in force when the slowest has confirmed its generation."""

from collections.abc import Sequence
from datetime import datetime

from libs.kernel.ids import Ids, TenantId
from services.holds.domain.errors import ConfirmationAhead
from services.holds.domain.holds import slowest_of
from services.holds.ports.register import Confirmations, Confirmed, Outgoing
from services.holds.usecases.told import fact_of_force


async def confirm(
    confirmations: Confirmations, confirmed: Sequence[Confirmed], at: datetime, ids: Ids
) -> None:
    """Keep confirmations, and put holds in force, within the transaction of a projector.

    The generations are locked: of two executors that confirm at the same moment the later one sees the
    earlier, so that neither leaves it to the other. Raises ConfirmationAhead.
    """
    generations = await confirmations.lock_generations({each.tenant for each in confirmed})
    for each in confirmed:
        current = generations.get(each.tenant, 0)
        if each.generation > current:
            raise ConfirmationAhead(each.executor, each.generation, current)
        await confirmations.add(each, at)
    outgoing: list[tuple[TenantId, Outgoing]] = []
    for tenant in sorted(generations):
        slowest = slowest_of(await confirmations.highest(tenant))
        begun = await confirmations.put_in_force(tenant, slowest, at)
        outgoing += [(tenant, fact_of_force(ids.uuid7(), hold, at)) for hold in begun]
    await confirmations.publish(outgoing)
