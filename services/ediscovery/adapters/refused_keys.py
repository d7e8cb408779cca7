"""Whose key the vault refuses, by the key service's internal route."""

from collections.abc import Collection

from libs.contracts.internal import BATCH_LIMIT, FindRefusedKeks, RefusedKeks
from libs.host.clients import ServiceClient
from libs.kernel.ids import TenantId
from services.ediscovery.adapters.peers import asked


class ServiceKeysRefused:
    """Asks the key service."""

    def __init__(self, keys: ServiceClient) -> None:
        """Ask `keys`."""
        self._keys = keys

    async def refused(self, tenants: Collection[TenantId]) -> Collection[TenantId]:
        """Return those of the tenants whose key is refused."""
        named, found = sorted(tenants), set[TenantId]()
        for start in range(0, len(named), BATCH_LIMIT):
            wanted = FindRefusedKeks(tenants=tuple(named[start : start + BATCH_LIMIT]))
            answer = await asked(self._keys, "/internal/keks/refused", wanted, RefusedKeks)
            found.update(map(TenantId, answer.tenants))
        return found
