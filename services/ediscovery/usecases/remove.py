"""Remove the files of productions whose time is over: they are clear text, and a copy was taken long ago."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.ediscovery.domain.productions.orders import Removal
from services.ediscovery.ports.books import Books
from services.ediscovery.ports.productions import Queue, Workshop
from services.ediscovery.usecases.told import fact_of_removal

REMOVE_SECONDS: Final = 60.0
"""How often it is looked for productions whose time is over."""
TAKING: Final = timedelta(hours=1)
"""For whoever began to take one while he still could."""


@dataclass(frozen=True, slots=True)
class RemoveProductions:
    """Removes what was made more than `kept` ago, and says so; the record with the manifest's hash stays."""

    books: Books
    queue: Queue
    workshop: Workshop
    clock: Clock
    ids: Ids
    kept: timedelta

    async def __call__(self) -> None:
        """Remove what is over. Raises the last of the errors that kept something from being removed."""
        trouble: Exception | None = None
        for tenant, production in await self.queue.made_before(self.clock.now() - self.kept - TAKING):
            try:
                await self._remove(tenant, production)
            except Exception as error:  # noqa: BLE001 - raised again below
                trouble = error
        if trouble is not None:
            raise trouble

    async def _remove(self, tenant: TenantId, production: UUID) -> None:
        """Remove files first, so that nothing is told of as removed that is there; a repeat does no harm."""
        await asyncio.to_thread(self.workshop.bench(tenant, production).remove)
        async with self.books.begin(tenant) as book:
            standing = await book.productions.find(production)
            if standing is None or standing.made is None:
                return
            removal = Removal(self.ids.uuid7(), self.clock.now())
            if await book.productions.record_removal(production, removal):
                await book.publish([fact_of_removal(standing.order, standing.made, removal)])
