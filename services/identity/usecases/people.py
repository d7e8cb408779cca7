"""Name people to another service, and find them by a name: whoever ever was in the directory."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.contracts.internal import PEOPLE_LIMIT
from libs.kernel.ids import PrincipalId, TenantId
from services.identity.domain.principals import NamedPerson
from services.identity.ports.store import Database


@dataclass(frozen=True, slots=True)
class NamePeople:
    """Correspondence outlives its people's time in the organisation: who has left is named, too."""

    database: Database

    async def of(self, tenant: TenantId, principals: Sequence[PrincipalId]) -> list[NamedPerson]:
        """Return those of `principals` that are, or were, in the directory."""
        async with self.database.begin(tenant) as tx:
            return await tx.principals.named(principals)

    async def called(self, tenant: TenantId, text: str) -> list[NamedPerson]:
        """Return whoever has this user name, address or display name, whatever its case."""
        text = text.strip()
        if not text or "\x00" in text:
            return []
        async with self.database.begin(tenant) as tx:
            return await tx.principals.called(text, PEOPLE_LIMIT)
