"""What people see of the directory: themselves, and their colleagues."""

from dataclasses import dataclass
from typing import Final

from libs.kernel.actors import Actor, Facts, Permissions
from libs.kernel.denials import Denials
from services.identity.domain.errors import NotFound
from services.identity.domain.principals import Person, name_key_of
from services.identity.domain.tenants import Tenant
from services.identity.ports.store import Database

_SELF: Final = frozenset({"self"})
_MOST_WORDS: Final = 8


@dataclass(frozen=True, slots=True)
class Me:
    """The actor, as the directory knows it now."""

    tenant: Tenant
    person: Person
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Access:
    """Asks the policies, and counts what they deny."""

    permissions: Permissions
    denials: Denials

    def check(self, actor: Actor, action: str, resource: Facts) -> None:
        """Return if the actor may do that. Raises NotFound."""
        if not self.permissions.allows(actor, action, resource):
            self.denials.note(actor.tenant, actor.principal, action)
            raise NotFound(resource.kind)


@dataclass(frozen=True, slots=True)
class ReadMe:
    """Tells people what the platform knows of them."""

    database: Database
    access: Access

    async def __call__(self, actor: Actor) -> Me:
        """Return the actor's own entry. Raises NotFound."""
        self.access.check(actor, "ReadMe", Facts("Person", actor.tenant, _SELF))
        async with self.database.begin(actor.tenant) as tx:
            principal = await tx.principals.find(actor.principal)
            if principal is None:
                raise NotFound("Person")
            person = Person(
                principal.principal, principal.user_name, principal.display_name, principal.active
            )
            return Me(await tx.tenants.get(), person, await tx.roles.of(actor.principal))


@dataclass(frozen=True, slots=True)
class SearchPeople:
    """Finds colleagues by the beginnings of their names and addresses."""

    database: Database
    access: Access

    async def __call__(self, actor: Actor, query: str, limit: int) -> list[Person]:
        """Return at most `limit` active people that match every word of `query`. Raises NotFound."""
        self.access.check(actor, "SearchPeople", Facts("Tenant", actor.tenant))
        words = name_key_of(query).split()[:_MOST_WORDS]
        async with self.database.begin(actor.tenant) as tx:
            return await tx.principals.search_people(words, limit)
