"""Make matters, say who looks into them, and show them to those alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from libs.kernel.actors import Actor
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, PrincipalId
from services.ediscovery.domain.access import ADD_MEMBER, CREATE_MATTER, READ_MATTER, matter_of
from services.ediscovery.domain.errors import MatterConflict
from services.ediscovery.domain.matters import Bounds, Matter, decide_bounds
from services.ediscovery.ports.books import Books, Member
from services.ediscovery.usecases.access import Access
from services.ediscovery.usecases.told import fact_of_matter, fact_of_member


class Shown(NamedTuple):
    """A matter with its members."""

    matter: Matter
    members: Sequence[Member]


@dataclass(frozen=True, slots=True)
class Matters:
    """Who is no member of a matter does not learn that there is one."""

    books: Books
    access: Access
    clock: Clock
    ids: Ids

    async def create(
        self, actor: Actor, name: str, bounds: Bounds, *, everything: bool, matter: UUID | None
    ) -> Shown:
        """Make a matter, whose first member is who makes it. `matter` makes a repeat harmless.

        Raises NotFound, MatterRefused or MatterConflict.
        """
        self.access.access(actor, CREATE_MATTER)
        bounds, now = decide_bounds(bounds, everything=everything), self.clock.now()
        named = matter or self.ids.uuid7()
        made = Matter(actor.tenant, named, name, bounds, actor.principal, now)
        member = Member(actor.principal, actor.principal, now)
        async with self.books.begin(actor.tenant) as book:
            if not await book.add_matter(made):
                found = await book.find_matter(named)
                if found is None or (found.name, found.bounds, found.made_by) != (
                    name,
                    bounds,
                    actor.principal,
                ):
                    raise MatterConflict(named)
                return Shown(found, await book.members(named))
            await book.add_member(named, act := self.ids.uuid7(), member)
            await book.publish([fact_of_matter(made), fact_of_member(named, act, member)])
        return Shown(made, [member])

    async def get(self, actor: Actor, matter: UUID) -> Shown:
        """Return a matter. Raises NotFound."""
        async with self.books.begin(actor.tenant) as book:
            found = await self.access.access_matter(book, actor, matter, READ_MATTER)
            return Shown(found, await book.members(matter))

    async def listed(self, actor: Actor, after: UUID | None, limit: int) -> list[Matter]:
        """Return the matters that the actor looks into, the newest first. Raises NotFound."""
        if not self.access.permissions.allows(actor, READ_MATTER, matter_of(actor.tenant, member=True)):
            self.access.deny(actor, READ_MATTER)
        async with self.books.begin(actor.tenant) as book:
            return await book.matters_of(actor.principal, after, limit)

    async def add_member(self, actor: Actor, matter: UUID, principal: PrincipalId) -> Shown:
        """Let somebody look into a matter; what he may do there his roles say. Raises NotFound."""
        member = Member(principal, actor.principal, self.clock.now())
        async with self.books.begin(actor.tenant) as book:
            found = await self.access.access_matter(book, actor, matter, ADD_MEMBER)
            if await book.add_member(matter, act := self.ids.uuid7(), member):
                members = await book.members(matter)
                await book.publish([fact_of_member(matter, act, member)])
            else:
                members = await book.members(matter)
        return Shown(found, members)
