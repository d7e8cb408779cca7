"""The one door: who may know of eDiscovery's affairs. Absent and forbidden look the same."""

from dataclasses import dataclass

from libs.kernel.actors import Actor, Permissions
from libs.kernel.denials import Denials
from services.ediscovery.domain.access import organisation
from services.ediscovery.domain.errors import NotFound


@dataclass(frozen=True, slots=True)
class Access:
    """Asks the policies, and counts what they deny."""

    permissions: Permissions
    denials: Denials

    def access(self, actor: Actor, action: str) -> None:
        """Return if the actor may do that in his organisation. Raises NotFound."""
        if not self.permissions.allows(actor, action, organisation(actor.tenant)):
            self.deny(actor, action)

    def deny(self, actor: Actor, action: str) -> None:
        """Count a denial. Raises NotFound."""
        self.denials.note(actor.tenant, actor.principal, action)
        raise NotFound
