"""Roles in PostgreSQL."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from libs.db.pool import Transaction
from libs.kernel.ids import PrincipalId, TenantId
from services.identity.domain.roles import RolesChanged, RoleSource

_OF: Final = "SELECT DISTINCT role FROM identity.role_grant WHERE tenant = %s AND principal = %s"
# A grant that is withdrawn becomes a row of the revocations, which nobody may change: what was granted
# and what was revoked can be counted for ever.
_WITHDRAW: Final = """
WITH gone AS (
    DELETE FROM identity.role_grant
     WHERE tenant = %(tenant)s AND principal = %(principal)s AND source = %(source)s
       AND role <> ALL (%(roles)s::text[])
    RETURNING tenant, principal, role, source, granted_at
)
INSERT INTO identity.role_revocation (tenant, principal, role, source, granted_at, revoked_at)
SELECT tenant, principal, role, source, granted_at, %(now)s FROM gone
RETURNING role
"""
_GRANT: Final = """
INSERT INTO identity.role_grant (tenant, principal, role, source)
SELECT %(tenant)s, %(principal)s, role, %(source)s FROM unnest(%(roles)s::text[]) AS role
ON CONFLICT DO NOTHING
RETURNING role
"""


class PostgresRoles:
    """The roles of the transaction's tenant."""

    def __init__(self, tx: Transaction, tenant: TenantId) -> None:
        """Speak through `tx`."""
        self._tx = tx
        self._tenant = tenant

    async def of(self, principal: PrincipalId) -> frozenset[str]:
        """Return the principal's roles, whoever granted them."""
        rows = await self._tx.fetch_all(_OF, (self._tenant, principal))
        return frozenset(row.role for row in rows)

    async def replace(
        self, principal: PrincipalId, roles: Iterable[str], source: RoleSource, now: datetime
    ) -> RolesChanged:
        """Let the roles that `source` grants be exactly these; return what that changed."""
        parameters = {**self._parameters_of(principal, roles, source), "now": now}
        revoked = await self._tx.fetch_all(_WITHDRAW, parameters)
        granted = await self._tx.fetch_all(_GRANT, parameters)
        return RolesChanged(
            granted=frozenset(row.role for row in granted), revoked=frozenset(row.role for row in revoked)
        )

    async def grant(self, principal: PrincipalId, role: str, source: RoleSource) -> bool:
        """Grant a role; return whether `source` had not granted it before."""
        return await self._tx.execute(_GRANT, self._parameters_of(principal, [role], source)) == 1

    def _parameters_of(
        self, principal: PrincipalId, roles: Iterable[str], source: RoleSource
    ) -> dict[str, object]:
        return {
            "tenant": self._tenant,
            "principal": principal,
            "roles": sorted(roles),
            "source": source.value,
        }
