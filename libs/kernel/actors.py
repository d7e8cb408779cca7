"""Who acts, and on what, in the words that permission is asked in."""

from dataclasses import dataclass
from typing import Protocol

from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId


class Actor(Protocol):
    """A principal who does something; the verified access token's actor is one."""

    @property
    def tenant(self) -> TenantId:
        """The tenant."""
        ...

    @property
    def principal(self) -> PrincipalId:
        """The person."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """The roles."""
        ...


class SessionActor(Actor, Protocol):
    """A principal, with the session and the device by which he acts."""

    @property
    def session(self) -> SessionId:
        """The session."""
        ...

    @property
    def device(self) -> DeviceId:
        """The device."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What is acted on: its kind, its tenant, and the names of the facts that hold of it."""

    kind: str
    tenant: TenantId
    holding: frozenset[str] = frozenset()


class Permissions(Protocol):
    """Decides by the policies; `libs.authz.authorizer.Authorizer` does."""

    def allows(self, actor: Actor, action: str, resource: Facts) -> bool:
        """Return whether `actor` may do `action` to `resource`."""
        ...
