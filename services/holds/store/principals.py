"""The hold service's own copy of the directory: who was ever a principal of which tenant."""

from libs.db.pool import Transaction
from libs.kernel.ids import PrincipalId, TenantId

_PUT = "INSERT INTO holds.principal (tenant, principal) VALUES (%s, %s) ON CONFLICT DO NOTHING"


class PostgresPrincipals:
    """Writes the copy within a projector's transaction."""

    def __init__(self, tx: Transaction) -> None:
        """Write in `tx`, beside the projector's cursor."""
        self._tx = tx

    async def put(self, tenant: TenantId, principal: PrincipalId) -> None:
        """Know a principal."""
        await self._tx.execute(_PUT, (tenant, principal))
