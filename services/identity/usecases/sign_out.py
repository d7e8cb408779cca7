"""Sign out: a session ends because its device says so."""

from dataclasses import dataclass

from libs.kernel.clock import Clock
from services.identity.domain.actors import Actor
from services.identity.domain.sessions import EndReason
from services.identity.ports.outside import Announcer
from services.identity.ports.store import Database
from services.identity.usecases.sessions import revoked_of


@dataclass(frozen=True, slots=True)
class SignOut:
    """Ends the actor's own session."""

    database: Database
    announcer: Announcer
    clock: Clock

    async def __call__(self, actor: Actor) -> None:
        """End the session; its tokens are refused everywhere within the second."""
        async with self.database.begin(actor.tenant) as tx:
            ended = await tx.sessions.end(actor.session, EndReason.SIGNED_OUT, self.clock.now())
            if ended:
                await tx.publish(*revoked_of(actor.principal, ended, EndReason.SIGNED_OUT))
        await self.announcer.announce()
