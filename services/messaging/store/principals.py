"""Messaging's own copy of the directory: who is an active principal of which tenant."""

from libs.db.pool import Transaction
from libs.kernel.ids import PrincipalId, TenantId

_PUT = """
    INSERT INTO messaging.principal (tenant, principal, active) VALUES (%s, %s, %s)
    ON CONFLICT (tenant, principal) DO UPDATE SET active = excluded.active"""


class PostgresPrincipals:
    """Writes the copy within a projector's transaction."""

    def __init__(self, tx: Transaction) -> None:
        """Write in `tx`, beside the projector's cursor."""
        self._tx = tx

    async def put(self, tenant: TenantId, principal: PrincipalId, *, active: bool) -> None:
        """Know a principal, or what has become of him."""
        await self._tx.execute(_PUT, (tenant, principal, active))
