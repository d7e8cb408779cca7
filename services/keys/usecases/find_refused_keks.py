"""Tell of which tenants the vault refuses the key: what it sealed is dark, and copies of it have to be."""

from collections.abc import Sequence

from libs.kernel.ids import TenantId
from services.keys.domain.deks import binding_of, context_of
from services.keys.ports.keystore import Keystore
from services.keys.ports.vault import KekRefused, Vault, Wrapped


class FindRefusedKeks:
    """Tries the newest data key of each tenant; what it opens is given to nobody, and told of to nobody."""

    def __init__(self, keystore: Keystore, vault: Vault) -> None:
        """Work on these ports."""
        self._keystore = keystore
        self._vault = vault

    async def __call__(self, tenants: Sequence[TenantId]) -> list[TenantId]:
        """Return those whose key is refused. Raises VaultUnavailable: then nothing is known of any."""
        return [tenant for tenant in tenants if await self._is_refused(tenant)]

    async def _is_refused(self, tenant: TenantId) -> bool:
        async with self._keystore.begin(tenant) as keys:
            dek = await keys.find_dek()
        if dek is None:
            return False
        binding = binding_of(dek.dek, dek.scope, dek.generation)
        try:
            await self._vault.unwrap(dek.kek, [Wrapped(dek.wrapped, context_of(dek.scope), binding)])
        except KekRefused:
            return True
        return False
