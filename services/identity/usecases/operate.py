"""What the platform's operator does for a tenant: make it, and give its first people a way in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from libs.contracts.events import RoleGranted, TenantCreated
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, PrincipalId, TenantId
from libs.kernel.randomness import Randomness
from services.identity.domain.acts import (
    OPERATOR,
    codes_issued,
    password_set,
    roles_changed,
    scim_token_issued,
    tenant_created,
)
from services.identity.domain.codes import (
    CODE_BYTES,
    CODE_LIFETIME,
    SCIM_SECRET_BYTES,
    ScimToken,
    code_of,
)
from services.identity.domain.errors import NotFound, PasswordRefused
from services.identity.domain.roles import RolesChanged, RoleSource, role_of
from services.identity.domain.tenants import Tenant, slug_of
from services.identity.ports.outside import Passwords
from services.identity.ports.store import Database, TenantRegistry

SCIM_TOKEN_LIFETIME: Final = timedelta(days=365)
_SHORTEST_PASSWORD: Final = 8
_LONGEST_PASSWORD: Final = 1024


@dataclass(frozen=True, slots=True)
class CreateTenant:
    """Makes an organisation."""

    database: Database
    clock: Clock
    ids: Ids

    async def __call__(self, slug: str, name: str, *, local_sign_in: bool) -> TenantId:
        """Return the new tenant's id. Raises SlugRefused and SlugTaken."""
        tenant = Tenant(TenantId(self.ids.uuid7()), slug_of(slug), name, local_sign_in)
        async with self.database.begin(tenant.tenant) as tx:
            now = self.clock.now()
            await tx.tenants.add(tenant, now)
            created = TenantCreated(tenant=tenant.tenant, slug=tenant.slug, title=tenant.name)
            await tx.publish(created, tenant_created(tenant.tenant, now))
        return tenant.tenant


@dataclass(frozen=True, slots=True)
class FindTenant:
    """Finds an organisation by its slug."""

    registry: TenantRegistry

    async def __call__(self, slug: str) -> Tenant:
        """Return the tenant. Raises NotFound."""
        tenant = await self.registry.find_by_slug(slug)
        if tenant is None:
            raise NotFound("Tenant")
        return tenant


@dataclass(frozen=True, slots=True)
class ListTenants:
    """Lists the organisations, for the operator."""

    registry: TenantRegistry

    async def __call__(self) -> list[Tenant]:
        """Return every tenant, by slug."""
        return await self.registry.all()


@dataclass(frozen=True, slots=True)
class IssuedScimToken:
    """A new SCIM token, shown once, and when it expires (aware, UTC)."""

    text: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class IssueScimToken:
    """Lets a directory provision people."""

    database: Database
    clock: Clock
    ids: Ids
    randomness: Randomness

    async def __call__(self, tenant: TenantId) -> IssuedScimToken:
        """Return a new token for the tenant's SCIM endpoint. Raises NotFound for an unknown tenant."""
        now = self.clock.now()
        token = ScimToken(tenant, self.randomness.bytes(SCIM_SECRET_BYTES))
        async with self.database.begin(tenant) as tx:
            await tx.tenants.get()
            known_as = self.ids.uuid7()
            await tx.credentials.add_scim_token(known_as, token.digest(), now, now + SCIM_TOKEN_LIFETIME)
            await tx.publish(scim_token_issued(known_as, now))
        return IssuedScimToken(token.text(), now + SCIM_TOKEN_LIFETIME)


@dataclass(frozen=True, slots=True)
class IssueSignInCodes:
    """Gives people a way to sign in once, e.g. before single sign-on is set up."""

    database: Database
    clock: Clock
    randomness: Randomness

    async def __call__(
        self, tenant: TenantId, principals: Sequence[PrincipalId]
    ) -> list[tuple[PrincipalId, str]]:
        """Return a code for each principal, in order. Raises NotFound, and then makes none."""
        now = self.clock.now()
        block = self.randomness.bytes(CODE_BYTES * len(principals))
        async with self.database.begin(tenant) as tx:
            slug = (await tx.tenants.get()).slug
            if await tx.principals.missing_of(principals):
                raise NotFound("Person")
            codes = [
                (principal, code_of(slug, block[at * CODE_BYTES : (at + 1) * CODE_BYTES]))
                for at, principal in enumerate(principals)
            ]
            kept = [(code.digest(), principal) for principal, code in codes]
            await tx.credentials.add_codes(kept, now, now + CODE_LIFETIME)
            await tx.publish(*codes_issued(principals, now))
        return [(principal, code.text()) for principal, code in codes]


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Gives a person a password, where the tenant signs in locally."""

    database: Database
    passwords: Passwords
    clock: Clock

    async def __call__(self, tenant: TenantId, principal: PrincipalId, password: str) -> None:
        """Keep the password's hash. Raises PasswordRefused and NotFound."""
        if not _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
            raise PasswordRefused
        hashed = await self.passwords.hash(password)
        async with self.database.begin(tenant) as tx:
            if not (await tx.tenants.get()).local_sign_in:
                raise PasswordRefused
            if await tx.principals.find_account(principal) is None:
                raise NotFound("Person")
            now = self.clock.now()
            await tx.credentials.set_password(principal, hashed, now)
            await tx.publish(password_set(principal, now))


@dataclass(frozen=True, slots=True)
class GrantRole:
    """Grants a role in the operator's name; also the ones that no directory may grant."""

    database: Database
    clock: Clock

    async def __call__(self, tenant: TenantId, principal: PrincipalId, role: str) -> None:
        """Grant it; a role that the operator granted before stays. Raises RoleUnknown and NotFound."""
        role_of(role)
        async with self.database.begin(tenant) as tx:
            if await tx.principals.find_account(principal) is None:
                raise NotFound("Person")
            if await tx.roles.grant(principal, role, RoleSource.OPERATOR):
                granted = RolesChanged(granted=frozenset({role}))
                told = roles_changed(principal, granted, OPERATOR, self.clock.now())
                await tx.publish(RoleGranted(principal=principal, role=role), *told)
