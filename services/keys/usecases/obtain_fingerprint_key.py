"""The tenant's key for fingerprints of bodies, which tell repeats apart without telling what they say."""

from libs.kernel.ids import TenantId
from services.keys.domain.access import Access
from services.keys.domain.deks import ClearDek, DekWish, scope_of_fingerprints
from services.keys.domain.errors import KekUnavailable
from services.keys.usecases.obtain_deks import ObtainDeks


class ObtainFingerprintKey:
    """Get or make the tenant's one fingerprint key, wrapped and logged as every data key is."""

    def __init__(self, obtain_deks: ObtainDeks) -> None:
        """Obtain it as a data key of a scope of its own."""
        self._obtain_deks = obtain_deks

    async def __call__(self, tenant: TenantId, access: Access) -> ClearDek:
        """Return the key in clear. Raises VaultUnavailable, KeysContended and KekUnavailable."""
        (answer,) = await self._obtain_deks([DekWish(scope_of_fingerprints(tenant))], access)
        if isinstance(answer, ClearDek):
            return answer
        raise KekUnavailable(tenant)
