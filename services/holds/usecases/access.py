"""The one door: who may know of a hold. Absent and forbidden look the same."""

from dataclasses import dataclass
from uuid import UUID

from libs.kernel.actors import Actor, Permissions
from libs.kernel.denials import Denials
from services.holds.domain.access import PLACE, READ, READ_GENERATION, any_hold, facts_of, organisation
from services.holds.domain.errors import HoldNotFound
from services.holds.domain.holds import Standing
from services.holds.ports.register import Register


@dataclass(frozen=True, slots=True)
class Access:
    """Asks the policies, and counts what they deny."""

    permissions: Permissions
    denials: Denials

    async def access_hold(self, register: Register, actor: Actor, hold: UUID, action: str = READ) -> Standing:
        """Return a hold if the actor may do that to it. Raises HoldNotFound otherwise."""
        standing = await register.find(hold)
        if standing is None or not self.allows(actor, action, standing):
            self._deny(actor, action)
            raise HoldNotFound(hold)
        return standing

    def access_placing(self, actor: Actor) -> None:
        """Return if the actor may place holds. Raises HoldNotFound."""
        self._access(actor, PLACE)

    def access_generation(self, actor: Actor) -> None:
        """Return if the actor may know how many changes of holds there were. Raises HoldNotFound."""
        self._access(actor, READ_GENERATION)

    def access_list(self, actor: Actor) -> None:
        """Return if there is any hold that the actor might read. Raises HoldNotFound."""
        if not self.permissions.allows(actor, READ, any_hold(actor.tenant)):
            self._deny(actor, READ)
            raise HoldNotFound

    def allows(self, actor: Actor, action: str, standing: Standing) -> bool:
        """Return whether the actor may do that to a hold."""
        return self.permissions.allows(actor, action, facts_of(standing.hold, actor))

    def _access(self, actor: Actor, action: str) -> None:
        if not self.permissions.allows(actor, action, organisation(actor.tenant)):
            self._deny(actor, action)
            raise HoldNotFound

    def _deny(self, actor: Actor, action: str) -> None:
        self.denials.note(actor.tenant, actor.principal, action)
