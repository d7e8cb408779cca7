"""What a directory does by SCIM: provision people, read them, change them, take them out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from libs.contracts.events import (
    PrincipalDeactivated,
    PrincipalProvisioned,
    PrincipalUpdated,
    SessionRevoked,
)
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, PrincipalId, TenantId
from services.identity.domain.codes import find_scim_token
from services.identity.domain.errors import NotFound, ScimTokenRefused, VersionMismatch
from services.identity.domain.principals import Principal
from services.identity.domain.roles import RoleSource
from services.identity.domain.scim.documents import DirectoryFacts, document_of, facts_of
from services.identity.domain.scim.filters import Filter
from services.identity.domain.scim.patch import Operation, patched
from services.identity.domain.sessions import EndReason
from services.identity.ports.outside import Announcer
from services.identity.ports.store import Database, Transaction
from services.identity.usecases.sessions import revoked_of


@dataclass(frozen=True, slots=True)
class AdmitScimClient:
    """Tells which tenant a directory may provision."""

    database: Database
    clock: Clock

    async def __call__(self, slug: str, text: str) -> TenantId:
        """Return the tenant that the bearer token is for.

        Raises ScimTokenRefused for a token that is good for nothing, and NotFound for a good one on
        another tenant's address, whether or not there is such a tenant.
        """
        token = find_scim_token(text)
        if token is None:
            raise ScimTokenRefused
        async with self.database.begin(token.tenant) as tx:
            if not await tx.credentials.has_scim_token(token.digest(), self.clock.now()):
                raise ScimTokenRefused
            tenant = await tx.tenants.get()
        if tenant.slug != slug:
            raise NotFound("Tenant")
        return tenant.tenant


@dataclass(frozen=True, slots=True)
class ProvisionUser:
    """Takes a person into the directory."""

    database: Database
    clock: Clock
    ids: Ids

    async def __call__(self, tenant: TenantId, body: object) -> Principal:
        """Return the new principal. Raises InvalidSyntax, InvalidValue and NotUnique."""
        document = document_of(body)
        facts = facts_of(document)
        now = self.clock.now()
        principal = _principal_of(PrincipalId(self.ids.uuid7()), document, facts, now)
        async with self.database.begin(tenant) as tx:
            await tx.principals.add(principal)
            await tx.roles.replace(principal.principal, facts.roles, RoleSource.SCIM)
            await tx.publish(
                PrincipalProvisioned(
                    principal=principal.principal,
                    display_name=principal.display_name,
                    active=principal.active,
                    roles=tuple(sorted(facts.roles)),
                )
            )
        return principal


@dataclass(frozen=True, slots=True)
class GetUser:
    """Reads one person."""

    database: Database

    async def __call__(self, tenant: TenantId, principal: PrincipalId) -> Principal:
        """Return the principal. Raises NotFound."""
        async with self.database.begin(tenant) as tx:
            found = await tx.principals.find(principal)
        if found is None:
            raise NotFound("User")
        return found


@dataclass(frozen=True, slots=True)
class SearchUsers:
    """Reads the people that a filter names."""

    database: Database

    async def __call__(
        self, tenant: TenantId, wanted: Filter, offset: int, limit: int
    ) -> tuple[int, list[Principal]]:
        """Return how many match, and at most `limit` of them from `offset` (0-based) on."""
        async with self.database.begin(tenant) as tx:
            return await tx.principals.search(wanted, offset, limit)


@dataclass(frozen=True, slots=True)
class ChangeUser:
    """Changes a person, all or nothing; whoever becomes inactive is signed out in the same transaction."""

    database: Database
    announcer: Announcer
    clock: Clock

    async def patch(
        self,
        tenant: TenantId,
        principal: PrincipalId,
        operations: list[Operation],
        version: int | None = None,
    ) -> Principal:
        """Return the principal after the operations.

        Raises NotFound, VersionMismatch (when it is no longer `version`), NotUnique, NoTarget,
        InvalidPath, InvalidValue and NotMutable.
        """
        return await self._change(tenant, principal, lambda now: patched(now, operations), version)

    async def put(
        self, tenant: TenantId, principal: PrincipalId, body: object, version: int | None = None
    ) -> Principal:
        """Return the principal with `body` in place of all that a client may set; raises as `patch`."""
        document = document_of(body)
        return await self._change(tenant, principal, lambda _: document, version)

    async def _change(
        self,
        tenant: TenantId,
        principal: PrincipalId,
        change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        version: int | None,
    ) -> Principal:
        now = self.clock.now()
        revoked: list[SessionRevoked] = []
        async with self.database.begin(tenant) as tx:
            current = await _get_locked(tx, principal, version)
            document = change(current.document)
            if document == current.document:
                return current
            facts = facts_of(document)
            changed = replace(
                _principal_of(principal, document, facts, now),
                version=current.version + 1,
                created_at=current.created_at,
            )
            await tx.principals.save(changed)
            await tx.roles.replace(principal, facts.roles, RoleSource.SCIM)
            updated = await _updated(tx, changed)
            if current.active and not changed.active:
                revoked = await _shut_out(tx, principal, now)
                await tx.publish(updated, PrincipalDeactivated(principal=principal), *revoked)
            else:
                await tx.publish(updated)
        if revoked:
            await self.announcer.announce()
        return changed


@dataclass(frozen=True, slots=True)
class RemoveUser:
    """Takes a person out of the directory. What they wrote and what is held stays untouched."""

    database: Database
    announcer: Announcer
    clock: Clock

    async def __call__(self, tenant: TenantId, principal: PrincipalId, version: int | None = None) -> None:
        """Remove the person and end their sessions. Raises NotFound and VersionMismatch."""
        now = self.clock.now()
        async with self.database.begin(tenant) as tx:
            await _get_locked(tx, principal, version)
            await tx.principals.remove(principal, now)
            revoked = await _shut_out(tx, principal, now)
            await tx.publish(PrincipalDeactivated(principal=principal), *revoked)
        if revoked:
            await self.announcer.announce()


def _principal_of(
    principal: PrincipalId, document: Mapping[str, Any], facts: DirectoryFacts, now: datetime
) -> Principal:
    return Principal(
        principal=principal,
        user_name=facts.user_name,
        external_id=facts.external_id,
        display_name=facts.display_name,
        active=facts.active,
        email_keys=facts.email_keys,
        document=document,
        version=1,
        created_at=now,
        modified_at=now,
    )


async def _get_locked(tx: Transaction, principal: PrincipalId, version: int | None) -> Principal:
    current = await tx.principals.find_locked(principal)
    if current is None:
        raise NotFound("User")
    if version is not None and version != current.version:
        raise VersionMismatch
    return current


async def _shut_out(tx: Transaction, principal: PrincipalId, now: datetime) -> list[SessionRevoked]:
    """End all that a principal could still come in by."""
    await tx.credentials.drop_codes(principal, now)
    ended = await tx.sessions.end_all_of(principal, EndReason.DEACTIVATED, now)
    return revoked_of(principal, ended, EndReason.DEACTIVATED)


async def _updated(tx: Transaction, principal: Principal) -> PrincipalUpdated:
    return PrincipalUpdated(
        principal=principal.principal,
        display_name=principal.display_name,
        active=principal.active,
        roles=tuple(sorted(await tx.roles.of(principal.principal))),
    )
