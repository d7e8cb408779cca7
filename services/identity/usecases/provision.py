"""What a directory does by SCIM: provision people, read them, change them, take them out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from libs.contracts.events import Event, PrincipalDeactivated, PrincipalProvisioned, PrincipalUpdated
from libs.kernel.clock import Clock
from libs.kernel.denials import Denials
from libs.kernel.ids import Ids, PrincipalId, SessionId, TenantId
from services.identity.domain.acts import (
    PROVISION,
    Act,
    Doer,
    ScimClient,
    changed,
    provisioned,
    removed,
    roles_changed,
    sessions_ended,
)
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
    """Tells which tenant a directory may provision, and counts those that may not."""

    database: Database
    denials: Denials
    clock: Clock

    async def __call__(self, slug: str, text: str) -> ScimClient:
        """Return the directory that the bearer token stands for.

        Raises ScimTokenRefused for a token that is good for nothing, and NotFound for a good one on
        another tenant's address, whether or not there is such a tenant.
        """
        token = find_scim_token(text)
        if token is None:
            raise ScimTokenRefused
        async with self.database.begin(token.tenant) as tx:
            known_as = await tx.credentials.find_scim_token(token.digest(), self.clock.now())
            tenant = await tx.tenants.find()
        if tenant is None:
            raise ScimTokenRefused
        if known_as is None or tenant.slug != slug:
            self.denials.note(tenant.tenant, None, PROVISION)
            raise ScimTokenRefused if known_as is None else NotFound("Tenant")
        return ScimClient(tenant.tenant, known_as)


@dataclass(frozen=True, slots=True)
class ProvisionUser:
    """Takes a person into the directory."""

    database: Database
    clock: Clock
    ids: Ids

    async def __call__(self, client: ScimClient, body: object) -> Principal:
        """Return the new principal. Raises InvalidSyntax, InvalidValue and NotUnique."""
        document = document_of(body)
        facts = facts_of(document)
        now = self.clock.now()
        principal = _principal_of(PrincipalId(self.ids.uuid7()), document, facts, now)
        async with self.database.begin(client.tenant) as tx:
            await tx.principals.add(principal)
            roles = await tx.roles.replace(principal.principal, facts.roles, RoleSource.SCIM, now)
            event = PrincipalProvisioned(
                principal=principal.principal,
                display_name=principal.display_name,
                active=principal.active,
                roles=tuple(sorted(facts.roles)),
            )
            await tx.publish(
                event,
                provisioned(principal.principal, client.doer, now),
                *roles_changed(principal.principal, roles, client.doer, now),
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
        client: ScimClient,
        principal: PrincipalId,
        operations: list[Operation],
        version: int | None = None,
    ) -> Principal:
        """Return the principal after the operations.

        Raises NotFound, VersionMismatch (when it is no longer `version`), NotUnique, NoTarget,
        InvalidPath, InvalidValue and NotMutable.
        """
        return await self._change(client, principal, lambda now: patched(now, operations), version)

    async def put(
        self, client: ScimClient, principal: PrincipalId, body: object, version: int | None = None
    ) -> Principal:
        """Return the principal with `body` in place of all that a client may set; raises as `patch`."""
        document = document_of(body)
        return await self._change(client, principal, lambda _: document, version)

    async def _change(
        self,
        client: ScimClient,
        principal: PrincipalId,
        change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        version: int | None,
    ) -> Principal:
        now = self.clock.now()
        ended: list[SessionId] = []
        async with self.database.begin(client.tenant) as tx:
            current = await _get_locked(tx, principal, version)
            document = change(current.document)
            if document == current.document:
                return current
            facts = facts_of(document)
            following = replace(
                _principal_of(principal, document, facts, now),
                version=current.version + 1,
                created_at=current.created_at,
            )
            await tx.principals.save(following)
            roles = await tx.roles.replace(principal, facts.roles, RoleSource.SCIM, now)
            told = [_change_of(current, following, client.doer, now)]
            told += roles_changed(principal, roles, client.doer, now)
            events: list[Event] = [await _updated(tx, following)]
            if current.active and not following.active:
                ended = await _shut_out(tx, principal, now)
                events += _shut_out_events(principal, ended)
                told += sessions_ended(principal, ended, EndReason.DEACTIVATED, client.doer, now)
            await tx.publish(*events, *told)
        if ended:
            await self.announcer.announce()
        return following


@dataclass(frozen=True, slots=True)
class RemoveUser:
    """Takes a person out of the directory. What they wrote and what is held stays untouched."""

    database: Database
    announcer: Announcer
    clock: Clock

    async def __call__(self, client: ScimClient, principal: PrincipalId, version: int | None = None) -> None:
        """Remove the person and end their sessions. Raises NotFound and VersionMismatch."""
        now = self.clock.now()
        async with self.database.begin(client.tenant) as tx:
            await _get_locked(tx, principal, version)
            await tx.principals.remove(principal, now)
            ended = await _shut_out(tx, principal, now)
            await tx.publish(
                *_shut_out_events(principal, ended),
                removed(principal, client.doer, now),
                *sessions_ended(principal, ended, EndReason.DEACTIVATED, client.doer, now),
            )
        if ended:
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


def _change_of(before: Principal, after: Principal, by: Doer, now: datetime) -> Act:
    return changed(after.principal, by, now, was_active=before.active, is_active=after.active)


async def _shut_out(tx: Transaction, principal: PrincipalId, now: datetime) -> list[SessionId]:
    """End all that a principal could still come in by; return the sessions that ended."""
    await tx.credentials.drop_codes(principal, now)
    return await tx.sessions.end_all_of(principal, EndReason.DEACTIVATED, now)


def _shut_out_events(principal: PrincipalId, ended: list[SessionId]) -> list[Event]:
    return [
        PrincipalDeactivated(principal=principal),
        *revoked_of(principal, ended, EndReason.DEACTIVATED),
    ]


async def _updated(tx: Transaction, principal: Principal) -> PrincipalUpdated:
    return PrincipalUpdated(
        principal=principal.principal,
        display_name=principal.display_name,
        active=principal.active,
        roles=tuple(sorted(await tx.roles.of(principal.principal))),
    )
