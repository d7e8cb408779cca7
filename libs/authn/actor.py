"""Who acts: the facts that a verified access token vouches for."""

from dataclasses import dataclass
from datetime import datetime

from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId


@dataclass(frozen=True, slots=True)
class Actor:
    """A principal of a tenant, acting in one session on one device until `expires_at` (aware, UTC)."""

    tenant: TenantId
    principal: PrincipalId
    session: SessionId
    device: DeviceId
    roles: frozenset[str]
    expires_at: datetime
