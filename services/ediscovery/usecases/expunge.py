"""Let the words of what was destroyed vanish from the files of the index, and tell whose words are gone."""

from dataclasses import dataclass
from typing import Final

from libs.contracts import retention
from libs.kernel.clock import Clock
from libs.kernel.errors import DomainError
from libs.kernel.ids import Ids, TenantId
from services.ediscovery.ports.books import Outgoing
from services.ediscovery.ports.expunges import Expunges, ItemsExpunged
from services.ediscovery.ports.index import Expunge
from services.ediscovery.usecases.told import fact_of_expunge

MOST_AT_A_TIME: Final = 10_000


@dataclass(frozen=True, slots=True)
class ExpungeDestroyed:
    """Writes anew what holds them; what could not be done stays due, and hinders no other tenant.

    A transaction shares the generation of the tenant's holds from its first statement on, and the words
    vanish within it: when this service confirms a hold, nothing vanishes that it did not know of.
    """

    index: Expunge
    expunges: Expunges
    clock: Clock
    ids: Ids

    async def __call__(self) -> None:
        """Do what is due. Raises the last of the errors that kept something from being done."""
        trouble: DomainError | None = None
        for tenant in await self.expunges.tenants():
            try:
                while await self._expunge(tenant):
                    pass
            except DomainError as error:
                trouble = error
        if trouble is not None:
            raise trouble

    async def _expunge(self, tenant: TenantId) -> bool:
        """Do as much as one transaction does; say whether something may be left."""
        async with self.expunges.begin(tenant) as under_way:
            keys = await under_way.due(MOST_AT_A_TIME)
            if not keys:
                return False
            await under_way.alive_during(self.index.expunge(tenant, keys))
            told: list[Outgoing] = []
            for order, items in sorted((await under_way.forget(keys)).items()):
                expunged = ItemsExpunged(self.ids.uuid7(), order, items, self.clock.now())
                await under_way.record(expunged)
                told += [
                    fact_of_expunge(expunged),
                    retention.ItemsExpunged(order=order, items=items),
                ]
            await under_way.publish(told)
        return len(keys) == MOST_AT_A_TIME
