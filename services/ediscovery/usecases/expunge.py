"""Let the words of what was destroyed vanish from the files of the index, not from its answers alone."""

from dataclasses import dataclass
from typing import Final

from libs.kernel.errors import DomainError
from services.ediscovery.ports.expunges import Expunges
from services.ediscovery.ports.index import SearchIndex

MOST_AT_A_TIME: Final = 10_000


@dataclass(frozen=True, slots=True)
class ExpungeDestroyed:
    """Writes anew what holds them; what could not be done stays due, and hinders no other tenant."""

    index: SearchIndex
    expunges: Expunges

    async def __call__(self) -> None:
        """Do what is due. Raises the last of the errors that kept something from being done."""
        trouble: DomainError | None = None
        for tenant in await self.expunges.tenants():
            try:
                keys = await self.expunges.due(tenant, MOST_AT_A_TIME)
                await self.index.expunge(tenant, keys)
                await self.expunges.done(tenant, keys)
            except DomainError as error:
                trouble = error
        if trouble is not None:
            raise trouble
