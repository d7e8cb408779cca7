"""Read holds: what each preserves, where it stands, and which executor has not confirmed it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from libs.approvals.request import Request
from libs.kernel.actors import Actor
from services.holds.domain.access import READ, READ_REASON
from services.holds.domain.holds import Progress, Standing
from services.holds.ports.register import Registers
from services.holds.usecases.access import Access


class Shown(NamedTuple):
    """A hold as somebody may see it: `whole` with its reason, its matter and the request for its release."""

    standing: Standing
    whole: bool
    request: Request | None = None


class Page(NamedTuple):
    """Holds, the newest first; `after` is where the next page begins, None on the last."""

    holds: Sequence[Shown]
    after: UUID | None


@dataclass(frozen=True, slots=True)
class ReadHolds:
    """What somebody may not see is not there."""

    registers: Registers
    access: Access

    async def get(self, actor: Actor, hold: UUID) -> Shown:
        """Return a hold. Raises HoldNotFound and HoldsUnavailable."""
        async with self.registers.begin(actor.tenant) as register:
            standing = await self.access.access_hold(register, actor, hold)
            whole = self.access.allows(actor, READ_REASON, standing)
            request = await register.requests.find_latest(hold) if whole else None
        return Shown(standing, whole, request)

    async def listed(self, actor: Actor, after: UUID | None, limit: int) -> Page:
        """Return at most `limit` holds from behind `after` on. Raises HoldNotFound and HoldsUnavailable.

        Where a hold is hidden, the page is filled from behind it: its length tells nothing.
        """
        self.access.access_list(actor)
        shown: list[Shown] = []
        async with self.registers.begin(actor.tenant) as register:
            while True:
                found = await register.listed(after, limit)
                for standing in found:
                    after = standing.hold.hold
                    if self.access.allows(actor, READ, standing):
                        shown.append(Shown(standing, self.access.allows(actor, READ_REASON, standing)))
                        if len(shown) == limit:
                            return Page(shown, after)
                if len(found) < limit:
                    return Page(shown, None)

    async def generation(self, actor: Actor) -> Progress:
        """Return the tenant's generation. Raises HoldNotFound and HoldsUnavailable."""
        self.access.access_generation(actor)
        async with self.registers.begin(actor.tenant) as register:
            return await register.progress()
