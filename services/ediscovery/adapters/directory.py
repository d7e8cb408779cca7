"""Whom a name means, by the internal routes of identity."""

from uuid import UUID

from libs.contracts.internal import FindPeople, PeopleOf
from libs.host.clients import ServiceClient
from libs.kernel.ids import TenantId
from services.ediscovery.adapters.peers import asked


class IdentityDirectory:
    """The `Directory` port over identity."""

    def __init__(self, identity: ServiceClient) -> None:
        """Ask this one."""
        self._identity = identity

    async def called(self, tenant: TenantId, name: str) -> list[UUID]:
        """Return whoever has this user name, address or display name."""
        wanted = FindPeople(tenant=tenant, text=name)
        found = await asked(self._identity, "/internal/people/find", wanted, PeopleOf)
        return [each.principal for each in found.items]
