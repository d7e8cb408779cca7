"""Retire data keys: what they are for is sealed under the next generation from now on."""

from collections.abc import Sequence
from uuid import UUID

from libs.kernel.ids import DekId, TenantId
from services.keys.ports.keystore import Keystore


class RetireDeks:
    """Needs no vault; what is retired opens on, and is retired once."""

    def __init__(self, keystore: Keystore) -> None:
        """Work on this port."""
        self._keystore = keystore

    async def __call__(self, tenant: TenantId, deks: Sequence[DekId], order: UUID, service: str) -> None:
        """Retire those of `deks` that the tenant has, for the sake of `order`."""
        async with self._keystore.begin(tenant) as keys:
            found = await keys.deks_named(deks)
            if found:
                await keys.retire_deks(list(found.values()), order, service)
