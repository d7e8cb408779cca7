"""Know the tenant's principals: the part of identity's directory that messaging decides by."""

from typing import Protocol

from libs.contracts.events import Event, PrincipalDeactivated, PrincipalProvisioned, PrincipalUpdated
from libs.kernel.ids import PrincipalId, TenantId


class Principals(Protocol):
    """Messaging's projection of the directory, within the projector's transaction."""

    async def put(self, tenant: TenantId, principal: PrincipalId, *, active: bool) -> None:
        """Know a principal, or what has become of him."""
        ...


async def know(principals: Principals, tenant: TenantId, event: Event) -> None:
    """Apply one event of identity; events that say nothing of a principal change nothing here."""
    match event:
        case PrincipalProvisioned() | PrincipalUpdated():
            await principals.put(tenant, PrincipalId(event.principal), active=event.active)
        case PrincipalDeactivated():
            await principals.put(tenant, PrincipalId(event.principal), active=False)
        case _:
            pass
