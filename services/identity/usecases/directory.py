"""What people see of the directory: themselves, and their colleagues."""

from dataclasses import dataclass
from typing import Final

from services.identity.domain.actors import Actor, Facts
from services.identity.domain.errors import NotFound
from services.identity.domain.principals import Person, name_key_of
from services.identity.domain.tenants import Tenant
from services.identity.ports.outside import Permissions
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
class ReadMe:
    """Tells people what the platform knows of them."""

    database: Database
    permissions: Permissions

    async def __call__(self, actor: Actor) -> Me:
        """Return the actor's own entry. Raises NotFound."""
        if not self.permissions.allows(actor, "ReadMe", Facts("Person", actor.tenant, _SELF)):
            raise NotFound("Person")
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
    permissions: Permissions

    async def __call__(self, actor: Actor, query: str, limit: int) -> list[Person]:
        """Return at most `limit` active people that match every word of `query`. Raises NotFound."""
        if not self.permissions.allows(actor, "SearchPeople", Facts("Tenant", actor.tenant)):
            raise NotFound("Tenant")
        words = name_key_of(query).split()[:_MOST_WORDS]
        async with self.database.begin(actor.tenant) as tx:
            return await tx.principals.search_people(words, limit)
