"""Acts, as identity tells the audit log of them: ids alone, never a name, an address or a text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.kernel.denials import Denial
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId
from services.identity.domain.roles import RolesChanged
from services.identity.domain.sessions import EndReason, Session

TENANT_CREATED: Final = "identity.tenant.created"
PRINCIPAL_PROVISIONED: Final = "identity.principal.provisioned"
PRINCIPAL_UPDATED: Final = "identity.principal.updated"
PRINCIPAL_DEACTIVATED: Final = "identity.principal.deactivated"
PRINCIPAL_REACTIVATED: Final = "identity.principal.reactivated"
PRINCIPAL_REMOVED: Final = "identity.principal.removed"
SESSION_STARTED: Final = "identity.session.started"
SESSION_ENDED: Final = "identity.session.ended"
ROLE_GRANTED: Final = "identity.role.granted"
ROLE_REVOKED: Final = "identity.role.revoked"
CODE_ISSUED: Final = "identity.code.issued"
PASSWORD_SET: Final = "identity.password.set"  # noqa: S105 - an act's name
SCIM_TOKEN_ISSUED: Final = "identity.scim-token.issued"  # noqa: S105 - an act's name
SIGN_IN_REFUSED: Final = "identity.sign-in.refused"
ACCESS_DENIED: Final = "identity.access.denied"

SIGN_IN: Final = "SignIn"
"""The act whose denials are refused sign-ins."""
REFRESH: Final = "RefreshSession"
PROVISION: Final = "UseDirectory"
"""What a SCIM client wants; the acts of signed-in people are named as in the policies."""


@dataclass(frozen=True, slots=True)
class Doer:
    """Who acted: `kind` is principal, directory (by its SCIM token's id), operator or system.

    A kind without an id is somebody who proved nothing.
    """

    kind: str
    id: UUID | None = None


OPERATOR: Final = Doer("operator")
SYSTEM: Final = Doer("system")
STRANGER: Final = Doer("principal")
STRANGE_DIRECTORY: Final = Doer("directory")


@dataclass(frozen=True, slots=True)
class ScimClient:
    """A directory that showed a good token: the tenant that it may provision, and the token's id."""

    tenant: TenantId
    token: UUID

    @property
    def doer(self) -> Doer:
        """The directory as the audit log knows it."""
        return Doer("directory", self.token)


@dataclass(frozen=True, slots=True)
class Act:
    """One act, done at `at` (aware, UTC) on the things of `on`, each by kind and id.

    `id` names the row that the act made; an act without a row of its own gets an id when it is told.
    `count` is more than one for denials that are told of together.
    """

    action: str
    by: Doer
    at: datetime
    on: tuple[tuple[str, UUID | str], ...]
    id: UUID | None = None
    outcome: str = "done"
    count: int = 1


def person(principal: PrincipalId) -> Doer:
    """Return a signed-in principal as the one who acts."""
    return Doer("principal", principal)


def tenant_created(tenant: TenantId, at: datetime) -> Act:
    """Return that the operator made a tenant."""
    return Act(TENANT_CREATED, OPERATOR, at, (("tenant", tenant),), id=tenant)


def provisioned(principal: PrincipalId, by: Doer, at: datetime) -> Act:
    """Return that a person came into the directory."""
    return Act(PRINCIPAL_PROVISIONED, by, at, (("principal", principal),), id=principal)


def changed(principal: PrincipalId, by: Doer, at: datetime, *, was_active: bool, is_active: bool) -> Act:
    """Return what a change of a person's entry was: one act, whose name says what weighs most."""
    if was_active == is_active:
        action = PRINCIPAL_UPDATED
    else:
        action = PRINCIPAL_REACTIVATED if is_active else PRINCIPAL_DEACTIVATED
    return Act(action, by, at, (("principal", principal),))


def removed(principal: PrincipalId, by: Doer, at: datetime) -> Act:
    """Return that a person was taken out of the directory."""
    return Act(PRINCIPAL_REMOVED, by, at, (("principal", principal),))


def session_started(session: Session) -> Act:
    """Return that a device signed in."""
    on = (*_session(session.session, session.principal), ("device", DeviceId(session.device)))
    return Act(SESSION_STARTED, person(session.principal), session.started_at, on, id=session.session)


def sessions_ended(
    principal: PrincipalId, sessions: Sequence[SessionId], reason: EndReason, by: Doer, at: datetime
) -> list[Act]:
    """Return that sessions of a principal ended before their time, one act for each."""
    why: tuple[str, str] = ("reason", reason.value)
    return [Act(SESSION_ENDED, by, at, (*_session(session, principal), why)) for session in sessions]


def roles_changed(principal: PrincipalId, roles: RolesChanged, by: Doer, at: datetime) -> list[Act]:
    """Return that a principal received and lost roles, one act for each."""
    told = [(ROLE_REVOKED, role) for role in sorted(roles.revoked)]
    told += [(ROLE_GRANTED, role) for role in sorted(roles.granted)]
    return [Act(action, by, at, (("principal", principal), ("role", role))) for action, role in told]


def codes_issued(principals: Iterable[PrincipalId], at: datetime) -> list[Act]:
    """Return that the operator gave out one-time codes, one act for each."""
    return [Act(CODE_ISSUED, OPERATOR, at, (("principal", principal),)) for principal in principals]


def password_set(principal: PrincipalId, at: datetime) -> Act:
    """Return that the operator set a person's password."""
    return Act(PASSWORD_SET, OPERATOR, at, (("principal", principal),))


def scim_token_issued(token: UUID, at: datetime) -> Act:
    """Return that the operator gave a directory a token."""
    return Act(SCIM_TOKEN_ISSUED, OPERATOR, at, (("scim-token", token),), id=token)


def denied(denial: Denial, row: UUID) -> Act:
    """Return the denials of one minute, kept in the row `row`.

    Who failed to sign in, or showed a bad refresh token, has not proved to be anybody: the principal whose
    name was used is what was acted on, not who acted.
    """
    named = () if denial.principal is None else (("principal", denial.principal),)
    if denial.act == SIGN_IN:
        return Act(SIGN_IN_REFUSED, STRANGER, denial.minute, named, row, "refused", denial.count)
    on: tuple[tuple[str, UUID | str], ...] = (("act", denial.act),)
    by = STRANGER if denial.principal is None else person(denial.principal)
    if denial.act == REFRESH:
        by, on = STRANGER, on + named
    if denial.act == PROVISION:
        by = STRANGE_DIRECTORY
    return Act(ACCESS_DENIED, by, denial.minute, on, row, "denied", denial.count)


def _session(session: SessionId, principal: PrincipalId) -> tuple[tuple[str, UUID | str], ...]:
    return (("session", session), ("principal", principal))
