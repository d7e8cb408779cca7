"""The one door: who may know of eDiscovery's affairs. Absent and forbidden look the same."""

from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

from libs.kernel.actors import Actor, Permissions
from libs.kernel.denials import Denials
from services.ediscovery.domain.access import matter_of, organisation
from services.ediscovery.domain.errors import NotFound
from services.ediscovery.domain.matters import Matter
from services.ediscovery.ports.books import Book


@dataclass(frozen=True, slots=True)
class Access:
    """Asks the policies, and counts what they deny."""

    permissions: Permissions
    denials: Denials

    def access(self, actor: Actor, action: str) -> None:
        """Return if the actor may do that in his organisation. Raises NotFound."""
        if not self.permissions.allows(actor, action, organisation(actor.tenant)):
            self.deny(actor, action)

    async def access_matter(self, book: Book, actor: Actor, matter: UUID, action: str) -> Matter:
        """Return a matter if the actor may do that in it. Raises NotFound otherwise."""
        found = await book.find_matter(matter)
        members = {member.principal for member in await book.members(matter)}
        facts = matter_of(actor.tenant, member=actor.principal in members)
        if found is None or not self.permissions.allows(actor, action, facts):
            self.deny(actor, action)
        return found

    async def shows_matter(self, book: Book, actor: Actor, matter: UUID, action: str) -> bool:
        """Tell whether the actor may do that in a matter; a list is shown without what he may not see."""
        members = {member.principal for member in await book.members(matter)}
        facts = matter_of(actor.tenant, member=actor.principal in members)
        return self.permissions.allows(actor, action, facts)

    def deny(self, actor: Actor, action: str) -> NoReturn:
        """Count a denial. Raises NotFound."""
        self.denials.note(actor.tenant, actor.principal, action)
        raise NotFound
