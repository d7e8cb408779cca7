"""What is kept, seen from the use cases: one transaction of one tenant, and the nouns in it."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from libs.kernel.denials import Denial
from libs.kernel.ids import PrincipalId, SessionId, TenantId
from services.identity.domain.acts import Act
from services.identity.domain.principals import Account, NamedPerson, Person, Principal
from services.identity.domain.roles import RolesChanged, RoleSource
from services.identity.domain.scim.filters import Filter
from services.identity.domain.sessions import EndReason, Session
from services.identity.domain.tenants import Tenant


class Fact(Protocol):
    """Something to publish; every event of `libs.contracts.events` is one."""

    @property
    def name(self) -> str:
        """The event's name."""
        ...


class Tenants(Protocol):
    """The transaction's own tenant."""

    async def add(self, tenant: Tenant, now: datetime) -> None:
        """Keep a new tenant. Raises SlugTaken."""
        ...

    async def find(self) -> Tenant | None:
        """Return the tenant."""
        ...

    async def get(self) -> Tenant:
        """Return the tenant. Raises NotFound."""
        ...


class Principals(Protocol):
    """The tenant's directory. A removed principal is not there, except in what it once signed."""

    async def add(self, principal: Principal) -> None:
        """Keep a new principal. Raises NotUnique."""
        ...

    async def find(self, principal: PrincipalId) -> Principal | None:
        """Return a principal."""
        ...

    async def find_locked(self, principal: PrincipalId) -> Principal | None:
        """Return a principal and keep others from changing it until the transaction ends."""
        ...

    async def save(self, principal: Principal) -> None:
        """Keep a changed principal, and count the change by what it was. Raises NotUnique."""
        ...

    async def remove(self, principal: PrincipalId, now: datetime) -> None:
        """Take a principal out of the directory; its id is never used again."""
        ...

    async def search(self, wanted: Filter, offset: int, limit: int) -> tuple[int, list[Principal]]:
        """Return how many principals match, and those from `offset` on, in the order of their making."""
        ...

    async def search_people(self, words: Sequence[str], limit: int) -> list[Person]:
        """Return active people one of whose names begins with each of the words, by display name."""
        ...

    async def named(self, principals: Sequence[PrincipalId]) -> list[NamedPerson]:
        """Return those of `principals` that are, or were, in the directory, by their ids."""
        ...

    async def called(self, text: str, limit: int) -> list[NamedPerson]:
        """Return who has, or had, this user name, address or display name; case does not count."""
        ...

    async def find_account(self, principal: PrincipalId) -> Account | None:
        """Return an active principal's account, and keep it from being deactivated until commit."""
        ...

    async def missing_of(self, principals: Sequence[PrincipalId]) -> list[PrincipalId]:
        """Return those that are not in the directory or not active."""
        ...


class Roles(Protocol):
    """Who has which role, and from whom."""

    async def of(self, principal: PrincipalId) -> frozenset[str]:
        """Return the principal's roles, whoever granted them."""
        ...

    async def replace(
        self, principal: PrincipalId, roles: Iterable[str], source: RoleSource, now: datetime
    ) -> RolesChanged:
        """Let the roles that `source` grants be exactly these; return what that changed."""
        ...

    async def grant(self, principal: PrincipalId, role: str, source: RoleSource) -> bool:
        """Grant a role; return whether `source` had not granted it before."""
        ...


class Credentials(Protocol):
    """What proves who someone is; secrets are kept as hashes alone."""

    async def set_password(self, principal: PrincipalId, hashed: str, now: datetime) -> None:
        """Keep the hash of a password instead of any earlier one, and count it."""
        ...

    async def find_password(self, name_key: str) -> tuple[PrincipalId, str] | None:
        """Return the principal of a user name (as it is compared) and its password's hash."""
        ...

    async def add_codes(
        self, codes: Sequence[tuple[bytes, PrincipalId]], now: datetime, expires_at: datetime
    ) -> None:
        """Keep the digests of one-time codes."""
        ...

    async def find_code(self, digest: bytes, now: datetime) -> PrincipalId | None:
        """Return whose code it is, or None if it is unknown, used or expired."""
        ...

    async def take_code(self, digest: bytes, now: datetime) -> bool:
        """Use up a code; return False if it is unknown, used or expired."""
        ...

    async def drop_codes(self, principal: PrincipalId, now: datetime) -> None:
        """Use up every code of a principal."""
        ...

    async def add_scim_token(self, token: UUID, digest: bytes, now: datetime, expires_at: datetime) -> None:
        """Keep the digest of a SCIM token, under the id by which the audit log knows it."""
        ...

    async def find_scim_token(self, digest: bytes, now: datetime) -> UUID | None:
        """Return the id of the SCIM token of this digest, if it is good now."""
        ...


class Sessions(Protocol):
    """The sessions of the tenant's devices."""

    async def start(self, session: Session, device_name: str) -> None:
        """Keep a new session on a new device."""
        ...

    async def find(self, session: SessionId) -> Session | None:
        """Return a session."""
        ...

    async def find_locked(self, session: SessionId) -> Session | None:
        """Return a session and keep others from changing it until the transaction ends."""
        ...

    async def rotate(self, session: Session) -> None:
        """Keep a session's next number, digest and expiry."""
        ...

    async def end(self, session: SessionId, reason: EndReason, now: datetime) -> list[SessionId]:
        """End a session and number its revocation; return it unless it had ended before."""
        ...

    async def end_all_of(self, principal: PrincipalId, reason: EndReason, now: datetime) -> list[SessionId]:
        """End every session of a principal and number the revocations; return those that had not ended."""
        ...


class DenialRows(Protocol):
    """The denials that the audit log is told of."""

    async def add(self, rows: Sequence[tuple[UUID, Denial]]) -> None:
        """Keep denials of the transaction's tenant, each under an id."""
        ...


class Transaction(Protocol):
    """One tenant's transaction: it commits when its block ends, and not if that raises.

    Locks are taken in one order, so that nobody waits in a circle: a principal, then its codes, then its
    sessions, then the outbox.
    """

    @property
    def tenants(self) -> Tenants:
        """The tenant itself."""
        ...

    @property
    def principals(self) -> Principals:
        """Its directory."""
        ...

    @property
    def roles(self) -> Roles:
        """Its roles."""
        ...

    @property
    def credentials(self) -> Credentials:
        """Its passwords, codes and tokens."""
        ...

    @property
    def sessions(self) -> Sessions:
        """Its sessions."""
        ...

    @property
    def denials(self) -> DenialRows:
        """Its denials."""
        ...

    async def publish(self, *facts: Fact | Act) -> None:
        """Append events and acts to the outbox, in order.

        It is the last thing in a transaction, for it locks the outbox. What the audit log learns of an act
        it learns by this alone: the act and its fact are committed together, or neither is.
        """
        ...


class Database(Protocol):
    """Begins transactions."""

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[Transaction]:
        """Begin a transaction of one tenant."""
        ...


class TenantRegistry(Protocol):
    """Finds a tenant before anything else is known of the caller."""

    async def find_by_slug(self, slug: str) -> Tenant | None:
        """Return the tenant of that slug."""
        ...

    async def all(self) -> list[Tenant]:
        """Return every tenant, by slug."""
        ...
