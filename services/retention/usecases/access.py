"""The one door: who may know of retention, and change it. Absent and forbidden look the same."""

from dataclasses import dataclass

from libs.kernel.actors import Actor, Permissions
from libs.kernel.denials import Denials
from services.retention.domain.access import organisation
from services.retention.domain.errors import RetentionNotFound


@dataclass(frozen=True, slots=True)
class Access:
    """Asks the policies, and counts what they deny."""

    permissions: Permissions
    denials: Denials

    def access(self, actor: Actor, action: str) -> None:
        """Return if the actor may do that in his organisation. Raises RetentionNotFound."""
        if not self.permissions.allows(actor, action, organisation(actor.tenant)):
            self.denials.note(actor.tenant, actor.principal, action)
            raise RetentionNotFound("retention")
