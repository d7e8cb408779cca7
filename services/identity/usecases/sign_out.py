"""Sign out: a session ends because its device says so."""

from dataclasses import dataclass

from libs.kernel.actors import SessionActor
from libs.kernel.clock import Clock
from services.identity.domain.acts import person, sessions_ended
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

    async def __call__(self, actor: SessionActor) -> None:
        """End the session; its tokens are refused everywhere within the second."""
        async with self.database.begin(actor.tenant) as tx:
            now = self.clock.now()
            reason, who = EndReason.SIGNED_OUT, actor.principal
            ended = await tx.sessions.end(actor.session, reason, now)
            await tx.publish(
                *revoked_of(who, ended, reason), *sessions_ended(who, ended, reason, person(who), now)
            )
        await self.announcer.announce()
