"""Let the words of what was destroyed vanish from the files of the index, and tell whose words are gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from libs.contracts import retention
from libs.kernel.clock import Clock
from libs.kernel.errors import DomainError
from libs.kernel.ids import Ids, TenantId
from services.ediscovery.domain.documents import DocumentKey
from services.ediscovery.ports.books import Outgoing
from services.ediscovery.ports.expunges import Expunges, ItemsExpunged
from services.ediscovery.ports.index import Expunge
from services.ediscovery.usecases.told import fact_of_expunge

MOST_REMOVED: Final = 1_000_000
MOST_CONFIRMED: Final = 50_000
MOST_ROUNDS: Final = 100
"""So often a tenant is passed over whose dues still grow."""


class Settling:
    """Tells whose dues have come to rest since the round before.

    A part is written anew for all that is due of it, so the rest of a run is worth waiting for.
    """

    def __init__(self, most_rounds: int = MOST_ROUNDS) -> None:
        """Wait for `most_rounds` at most."""
        self._most_rounds = most_rounds
        self._seen: dict[TenantId, tuple[int, int]] = {}

    def at_rest(self, due: Mapping[TenantId, int]) -> list[TenantId]:
        """Return those for whom it is time; `due` counts what is due of each now."""
        seen = {tenant: self._seen.get(tenant, (0, 0)) for tenant in due}
        rest = [
            tenant
            for tenant, (before, rounds) in seen.items()
            if due[tenant] == before or rounds >= self._most_rounds
        ]
        self._seen = {
            tenant: (due[tenant], rounds + 1) for tenant, (_, rounds) in seen.items() if tenant not in rest
        }
        return rest


@dataclass(frozen=True, slots=True)
class ExpungeDestroyed:
    """Writes anew what holds them; what could not be done stays due, and hinders no other tenant.

    Each transaction shares the generation of the tenant's holds from its first statement on, and words
    vanish only within one: when this service confirms a hold, nothing vanishes that it did not know of.
    """

    index: Expunge
    expunges: Expunges
    clock: Clock
    ids: Ids
    settling: Settling

    async def __call__(self) -> None:
        """Do what is due and has come to rest. Raises the last of the errors that kept some undone."""
        trouble: DomainError | None = None
        for tenant in self.settling.at_rest(await self.expunges.tenants()):
            try:
                for part in await self._remove(tenant):
                    await self._purge(tenant, part)
                while await self._confirm(tenant):
                    pass
            except DomainError as error:
                trouble = error
        if trouble is not None:
            raise trouble

    async def _remove(self, tenant: TenantId) -> Sequence[str]:
        """Let all that is due be found no more, and return what has to be purged of it.

        What is due of a run comes in many events. A part is purged once for all of them, as that means to
        write anew all that is left of it.
        """
        parts: list[str] = []

        async def remove(keys: Sequence[DocumentKey]) -> None:
            parts.extend(await self.index.remove(tenant, keys))

        async with self.expunges.begin(tenant) as under_way:
            if keys := await under_way.due(MOST_REMOVED):
                await under_way.alive_during(remove(keys))
        return parts

    async def _purge(self, tenant: TenantId, part: str) -> None:
        """Do one part in a transaction of its own: a hold that arrives waits for no more than that."""
        async with self.expunges.begin(tenant) as under_way:
            await under_way.alive_during(self.index.purge(tenant, part))

    async def _confirm(self, tenant: TenantId) -> bool:
        """See that words are gone, and tell whose; say whether more may be due."""
        async with self.expunges.begin(tenant) as under_way:
            keys = await under_way.due(MOST_CONFIRMED)
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
        return len(keys) == MOST_CONFIRMED
