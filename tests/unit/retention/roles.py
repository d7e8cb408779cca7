"""Bearers of one role each."""

from dataclasses import dataclass
from uuid import UUID

from libs.kernel.ids import PrincipalId, TenantId

OURS, THEIRS = TenantId(UUID(int=1)), TenantId(UUID(int=2))
SOMEBODY = PrincipalId(UUID(int=3))
ROLES = (
    "employee",
    "guest",
    "it_admin",
    "compliance_officer",
    "legal_counsel",
    "reviewer",
    "auditor",
    "key_custodian",
)


@dataclass(frozen=True)
class Bearer:
    """Somebody of our organisation with one role."""

    role: str
    tenant: TenantId = OURS
    principal: PrincipalId = SOMEBODY

    @property
    def roles(self) -> frozenset[str]:
        """Return the one role."""
        return frozenset([self.role])
