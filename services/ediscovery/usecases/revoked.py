"""Drop the index of a tenant whose key is revoked: it is clear text, and the key was all that sealed it."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.ediscovery.ports.index import SearchIndex
from services.ediscovery.ports.rebuilds import KeysRefused, Notes, Rebuilds
from services.ediscovery.usecases.current import Generations
from services.ediscovery.usecases.told import fact_of_dropped

ASKED: Final = 5
"""How often it is asked whose key the vault refuses, within the time for which it has to."""


@dataclass(slots=True)
class Refusals:
    """Since when keys have been refused, each time that it was asked."""

    patience: timedelta
    _since: dict[TenantId, datetime] = field(default_factory=dict)

    def lasting(self, refused: Collection[TenantId], now: datetime) -> list[TenantId]:
        """Return those of the refused that have been so for long enough."""
        self._since = {tenant: self._since.get(tenant, now) for tenant in sorted(refused)}
        return [tenant for tenant, since in self._since.items() if now - since >= self.patience]


@dataclass(frozen=True, slots=True)
class DropRevoked:
    """Drops every generation of it, and says so.

    An index can be made anew from the log: whoever gives the key back has it again by itself. So a key that
    is refused by mistake costs work, and nothing else.
    """

    generations: Generations
    rebuilds: Rebuilds
    notes: Notes
    keys: KeysRefused
    refusals: Refusals
    clock: Clock
    ids: Ids

    async def __call__(self) -> None:
        """Look at all. Raises CorrespondenceUnavailable and IndexUnavailable: then nothing is known."""
        refused = await self.keys.refused(await self.rebuilds.tenants())
        for tenant in self.refusals.lasting(refused, self.clock.now()):
            await self._drop(tenant)

    async def _drop(self, tenant: TenantId) -> None:
        """Drop what there is of one tenant; where there is nothing, nothing is told.

        It is told of first: who is killed between the two drops it the next time, and tells of it again.
        """
        under_way = {each.generation for each in await self.rebuilds.under_way() if each.tenant == tenant}
        noted = await self.notes.noted(tenant)
        left = set[int]() if noted.leftover is None else {noted.leftover}
        there: list[SearchIndex] = []
        for generation in sorted({noted.generation} | left | under_way):
            index = self.generations(generation)
            reached = await index.reached(tenant)
            if reached.cursors or reached.periods:
                there.append(index)
        if there:
            act, now = self.ids.uuid7(), self.clock.now()
            await self.rebuilds.record_dropped(tenant, act, now, [fact_of_dropped(act, now)])
        for index in there:
            await index.drop(tenant)
