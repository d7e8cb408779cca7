"""Who may know of retention, and change it: the words of the policies."""

from dataclasses import dataclass
from typing import Final, Protocol

from libs.kernel.ids import PrincipalId, TenantId

READ: Final = "ReadRetention"
CHANGE: Final = "ChangeRetention"
ERASE: Final = "RequestErasure"
ORDER: Final = "OrderDisposition"


class Actor(Protocol):
    """A principal acting in a session; the verified access token's actor is one."""

    @property
    def tenant(self) -> TenantId:
        """The tenant."""

    @property
    def principal(self) -> PrincipalId:
        """The person."""

    @property
    def roles(self) -> frozenset[str]:
        """The roles."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is acted on: its kind, its tenant, and the names of the facts that hold of it."""

    kind: str
    tenant: TenantId
    holding: frozenset[str] = frozenset()


def organisation(tenant: TenantId) -> Facts:
    """Return the organisation itself, whose rules these are."""
    return Facts("Tenant", tenant)
