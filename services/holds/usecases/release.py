"""Release a hold: one person asks, another approves, and with that it ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.approvals.errors import RequestNotFound
from libs.approvals.request import Request, State, decide_request
from libs.kernel.actors import Actor
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids
from services.holds.domain.access import DECIDE_RELEASE, READ_REASON, REQUEST_RELEASE
from services.holds.domain.errors import HoldEnded, HoldNotFound, ReleasePending
from services.holds.domain.holds import RELEASE, Release, Standing, digest_of_release
from services.holds.ports.register import Outgoing, Register, Registers
from services.holds.usecases.access import Access
from services.holds.usecases.told import (
    event_of_release,
    fact_of_decision,
    fact_of_release,
    fact_of_request,
)

MOST_LISTED: Final = 200


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """The requests for releases, and what approving one does."""

    registers: Registers
    access: Access
    clock: Clock
    ids: Ids

    async def request(self, actor: Actor, hold: UUID, reason: str) -> Request:
        """Ask for the end of a hold; none of its custodians can approve it.

        Raises HoldNotFound, HoldEnded, ReleasePending, ReasonRefused and HoldsUnavailable.
        """
        async with self.registers.begin(actor.tenant) as register:
            standing = await self.access.access_hold(register, actor, hold, REQUEST_RELEASE)
            # One change of a tenant's holds at a time: two requests do not both find none.
            await register.lock_generation()
            now = self.clock.now()
            _refuse_ended(standing)
            latest = await register.requests.find_latest(hold)
            if latest is not None and latest.state(now) is State.PENDING:
                raise ReleasePending(latest.request)
            asked = decide_request(
                self.ids.uuid7(),
                actor.tenant,
                RELEASE,
                hold,
                digest_of_release(standing.hold),
                actor.principal,
                reason,
                now,
                barred=standing.hold.terms.custodians,
            )
            await register.requests.insert(asked)
            await register.publish([fact_of_request(asked)])
        return asked

    async def listed(self, actor: Actor) -> Sequence[Request]:
        """Return the newest requests about holds that the actor may know all of."""
        async with self.registers.begin(actor.tenant) as register:
            requests = await register.requests.listed(MOST_LISTED)
            return [each for each in requests if await self._shows(register, actor, each)]

    async def shown(self, actor: Actor, request: UUID) -> Request:
        """Return a request. Raises RequestNotFound."""
        async with self.registers.begin(actor.tenant) as register:
            found = await register.requests.get(request)
            try:
                await self.access.access_hold(register, actor, found.subject, READ_REASON)
            except HoldNotFound:
                raise RequestNotFound(request) from None
            return found

    async def decide(self, actor: Actor, request: UUID, digest: bytes, *, approves: bool) -> Request:
        """Approve or refuse a release; the hold ends in the transaction of its approval.

        Raises RequestNotFound, ApproverRefused, RequestDecided, DigestDiffers, HoldEnded, HoldsUnavailable.
        """
        async with self.registers.begin(actor.tenant) as register:
            found = await register.requests.get(request)
            try:
                await self.access.access_hold(register, actor, found.subject, DECIDE_RELEASE)
            except HoldNotFound:
                raise RequestNotFound(request) from None
            generation = await register.lock_generation()
            # Read again behind the lock: somebody may have ended it meanwhile.
            standing = await self.access.access_hold(register, actor, found.subject, DECIDE_RELEASE)
            now = self.clock.now()
            decided = await register.requests.decide(request, actor.principal, digest, now, approves=approves)
            outgoing: list[Outgoing] = [fact_of_decision(self.ids.uuid7(), decided, actor.principal, now)]
            if approves:
                decided, ended = await self._end(register, actor, standing, decided, generation + 1, now)
                outgoing += ended
            await register.publish(outgoing)
        return decided

    async def _end(
        self,
        register: Register,
        actor: Actor,
        standing: Standing,
        approved: Request,
        generation: int,
        now: datetime,
    ) -> tuple[Request, list[Outgoing]]:
        """End the hold by its approval, and return the request as it was used, with what is to be told."""
        _refuse_ended(standing)
        hold = standing.hold.hold
        used = await register.requests.use(approved, RELEASE, hold, digest_of_release(standing.hold), now)
        release = Release(generation, used.request, actor.principal, now)
        await register.raise_generation(generation)
        await register.end(hold, release)
        return used, [event_of_release(hold, release), fact_of_release(self.ids.uuid7(), used, release)]

    async def _shows(self, register: Register, actor: Actor, request: Request) -> bool:
        standing = await register.find(request.subject)
        return standing is not None and self.access.allows(actor, READ_REASON, standing)


def _refuse_ended(standing: Standing) -> None:
    if standing.release is not None:
        raise HoldEnded(standing.hold.hold)
