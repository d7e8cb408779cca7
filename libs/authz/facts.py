"""What a decision may depend on: the actor's roles, and facts of the resource that are yes or no."""

from typing import Protocol

from libs.kernel.ids import TenantId


class RoleBearer(Protocol):
    """Whoever acts: `libs.authn.actor.Actor` is one."""

    @property
    def tenant(self) -> TenantId:
        """The tenant that the actor belongs to."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """The actor's roles in that tenant."""
        ...


class ResourceFacts(Protocol):
    """What is acted on: `libs.kernel.actors.Facts` is one; a service's domain may have its own."""

    @property
    def kind(self) -> str:
        """The Cedar entity type, e.g. "Conversation"."""
        ...

    @property
    def tenant(self) -> TenantId:
        """The tenant that the resource belongs to."""
        ...

    @property
    def holding(self) -> frozenset[str]:
        """The names of the facts that hold, e.g. {"participant"}; all others do not."""
        ...
