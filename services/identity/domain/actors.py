"""Who acts, and on what, in the words that permission is asked in."""

from dataclasses import dataclass
from typing import Protocol

from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId


class Actor(Protocol):
    """A principal acting in a session; the verified access token's actor is one."""

    @property
    def tenant(self) -> TenantId:
        """The tenant."""
        ...

    @property
    def principal(self) -> PrincipalId:
        """The person."""
        ...

    @property
    def session(self) -> SessionId:
        """The session."""
        ...

    @property
    def device(self) -> DeviceId:
        """The device."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """The roles."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What is acted on: its kind, its tenant, and the names of the facts that hold of it."""

    kind: str
    tenant: TenantId
    holding: frozenset[str] = frozenset()
