"""Place a hold: it is an order from this commit on, and in force when every executor has confirmed it."""

from dataclasses import dataclass
from uuid import UUID

from libs.kernel.actors import Actor
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids
from services.holds.domain.errors import HoldConflict
from services.holds.domain.holds import Hold, Standing, Terms, decide_terms
from services.holds.ports.register import Registers
from services.holds.usecases.access import Access
from services.holds.usecases.told import event_of, fact_of_placing


@dataclass(frozen=True, slots=True)
class PlaceHold:
    """Counsel alone places holds; nobody has to approve."""

    registers: Registers
    access: Access
    clock: Clock
    ids: Ids

    async def __call__(
        self, actor: Actor, terms: Terms, *, everything: bool = False, hold: UUID | None = None
    ) -> Standing:
        """Place a hold on `terms` and return it; under an id of the caller's, a repeat makes nothing new.

        Raises HoldNotFound where the actor may not, HoldRefused, HoldConflict for an id that was used for
        other terms or by somebody else, and HoldsUnavailable.
        """
        self.access.access_placing(actor)
        terms = decide_terms(terms, everything=everything)
        name = hold or self.ids.uuid7()
        async with self.registers.begin(actor.tenant) as register:
            generation = await register.lock_generation()
            known = await register.find(name)
            if known is not None:
                if (known.hold.terms, known.hold.placed_by) != (terms, actor.principal):
                    raise HoldConflict(name)
                return known
            placed = Hold(actor.tenant, name, generation + 1, terms, actor.principal, self.clock.now())
            await register.raise_generation(placed.generation)
            await register.add(placed)
            standing = await register.find(name)
            await register.publish([event_of(placed), fact_of_placing(placed)])
        return standing or Standing(placed)
