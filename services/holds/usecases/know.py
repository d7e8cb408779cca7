"""Know who is in the directory: a custodian whom nobody knows is a mistake that must be seen."""

from typing import Protocol

from libs.contracts.events import Event, PrincipalProvisioned, PrincipalUpdated
from libs.kernel.ids import PrincipalId, TenantId


class Principals(Protocol):
    """The copy of the directory, within the projector's transaction."""

    async def put(self, tenant: TenantId, principal: PrincipalId) -> None:
        """Know a principal."""
        ...


async def know(principals: Principals, tenant: TenantId, event: Event) -> None:
    """Apply one event of identity. Who leaves stays known: holds concern those who left above all."""
    if isinstance(event, PrincipalProvisioned | PrincipalUpdated):
        await principals.put(tenant, PrincipalId(event.principal))
