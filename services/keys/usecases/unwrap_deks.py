"""Unwrap data keys by their names, for those who read records."""

from collections.abc import Sequence

from libs.kernel.ids import DekId, TenantId
from services.keys.domain.access import Access
from services.keys.domain.deks import ClearDek, DekReference, Obstacle
from services.keys.ports.keystore import Keystore
from services.keys.ports.vault import Vault
from services.keys.usecases.opening import opened


class UnwrapDeks:
    """Unwrap what exists; one tenant's defects do not stand in another's way."""

    def __init__(self, keystore: Keystore, vault: Vault) -> None:
        """Work on these ports."""
        self._keystore = keystore
        self._vault = vault

    async def __call__(self, references: Sequence[DekReference], access: Access) -> list[ClearDek | Obstacle]:
        """Return each key in clear or what stands in its way, in order.

        Every key that is handed out is in the key-access log. Raises VaultUnavailable.
        """
        tenants: dict[TenantId, dict[DekId, None]] = {}
        for reference in references:
            tenants.setdefault(reference.tenant, {})[reference.dek] = None
        answers = {
            tenant: await self._unwrap_for(tenant, list(deks), access) for tenant, deks in tenants.items()
        }
        return [answers[reference.tenant].get(reference.dek, Obstacle.NOT_FOUND) for reference in references]

    async def _unwrap_for(
        self, tenant: TenantId, deks: Sequence[DekId], access: Access
    ) -> dict[DekId, ClearDek | Obstacle]:
        """Return what the tenant has of these; the vault is called between the two transactions."""
        async with self._keystore.begin(tenant) as keys:
            found = await keys.deks_named(deks)
        answers = await opened(self._vault, list(found.values()))
        given = [dek for dek in found.values() if isinstance(answers[dek.dek], ClearDek)]
        if given:
            async with self._keystore.begin(tenant) as keys:
                await keys.record_access(given, access)
        return answers
