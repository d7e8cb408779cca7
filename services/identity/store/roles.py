"""Roles in PostgreSQL."""

from collections.abc import Iterable
from typing import Final

from libs.db.pool import Transaction
from libs.kernel.ids import PrincipalId, TenantId
from services.identity.domain.roles import RoleSource

_OF: Final = "SELECT DISTINCT role FROM identity.role_grant WHERE tenant = %s AND principal = %s"
_WITHDRAW: Final = """
DELETE FROM identity.role_grant
 WHERE tenant = %(tenant)s AND principal = %(principal)s AND source = %(source)s
   AND role <> ALL (%(roles)s::text[])
"""
_GRANT: Final = """
INSERT INTO identity.role_grant (tenant, principal, role, source)
SELECT %(tenant)s, %(principal)s, role, %(source)s FROM unnest(%(roles)s::text[]) AS role
ON CONFLICT DO NOTHING
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

    async def replace(self, principal: PrincipalId, roles: Iterable[str], source: RoleSource) -> None:
        """Let the roles that `source` grants be exactly these."""
        parameters = self._parameters_of(principal, roles, source)
        await self._tx.execute(_WITHDRAW, parameters)
        await self._tx.execute(_GRANT, parameters)

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
