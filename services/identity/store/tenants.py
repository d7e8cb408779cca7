"""Tenants in PostgreSQL."""

from collections import OrderedDict
from datetime import datetime
from typing import Any, Final

from libs.db.pool import CrossingDatabase, Transaction
from libs.kernel.ids import TenantId
from services.identity.domain.errors import NotFound, SlugTaken
from services.identity.domain.tenants import Tenant

_ADD: Final = """
INSERT INTO identity.tenant (tenant, slug, name, local_sign_in, created_at)
VALUES (%s, %s, %s, %s, %s) ON CONFLICT (slug) DO NOTHING
"""
_GET: Final = "SELECT tenant, slug, name, local_sign_in FROM identity.tenant WHERE tenant = %s"
_FIND_BY_SLUG: Final = "SELECT tenant, slug, name, local_sign_in FROM identity.tenant WHERE slug = %s"
_ALL: Final = "SELECT tenant, slug, name, local_sign_in FROM identity.tenant ORDER BY slug"
_REMEMBERED: Final = 10_000


class PostgresTenants:
    """The transaction's own tenant."""

    def __init__(self, tx: Transaction, tenant: TenantId) -> None:
        """Speak through `tx`."""
        self._tx = tx
        self._tenant = tenant

    async def add(self, tenant: Tenant, now: datetime) -> None:
        """Keep a new tenant. Raises SlugTaken."""
        row = (tenant.tenant, tenant.slug, tenant.name, tenant.local_sign_in, now)
        if await self._tx.execute(_ADD, row) == 0:
            raise SlugTaken(tenant.slug)

    async def find(self) -> Tenant | None:
        """Return the tenant."""
        row = await self._tx.fetch_one(_GET, (self._tenant,))
        return None if row is None else _tenant_of(row)

    async def get(self) -> Tenant:
        """Return the tenant. Raises NotFound."""
        tenant = await self.find()
        if tenant is None:
            raise NotFound("Tenant")
        return tenant


class PostgresTenantRegistry:
    """Finds tenants by slug as the role identity_resolver, and remembers them: neither ever changes."""

    def __init__(self, database: CrossingDatabase) -> None:
        """Ask `database`, which sees of each tenant its row in identity.tenant and nothing else."""
        self._database = database
        self._known: OrderedDict[str, Tenant] = OrderedDict()

    async def find_by_slug(self, slug: str) -> Tenant | None:
        """Return the tenant of that slug; unknown ones are asked for each time."""
        known = self._known.get(slug)
        if known is not None or not slug.isascii() or not slug.isprintable():
            return known
        async with self._database.begin() as tx:
            row = await tx.fetch_one(_FIND_BY_SLUG, (slug,))
        if row is None:
            return None
        self._known[slug] = _tenant_of(row)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return self._known[slug]

    async def all(self) -> list[Tenant]:
        """Return every tenant, by slug."""
        async with self._database.begin() as tx:
            return [_tenant_of(row) for row in await tx.fetch_all(_ALL)]


def _tenant_of(row: Any) -> Tenant:
    return Tenant(TenantId(row.tenant), row.slug, row.name, row.local_sign_in)
