"""Refresh: a device changes its refresh token for the next one, and a copied one ends the session."""

from dataclasses import dataclass

from libs.kernel.clock import Clock
from libs.kernel.denials import Denials
from libs.kernel.randomness import Randomness
from services.identity.domain.acts import REFRESH, SYSTEM, sessions_ended
from services.identity.domain.errors import SessionEnded
from services.identity.domain.principals import Account
from services.identity.domain.sessions import (
    SECRET_BYTES,
    EndReason,
    OpenedSession,
    Refreshing,
    RefreshToken,
    Session,
    decide_refresh,
    find_refresh_token,
    rotated,
)
from services.identity.ports.outside import Announcer, Signing
from services.identity.ports.store import Database, Transaction
from services.identity.usecases.sessions import SignedIn, revoked_of, signed_in


@dataclass(frozen=True, slots=True)
class RefreshSession:
    """Gives a device its next tokens, with the roles that its principal has now."""

    database: Database
    signing: Signing
    announcer: Announcer
    denials: Denials
    clock: Clock
    randomness: Randomness

    async def __call__(self, text: str) -> SignedIn:
        """Return the next tokens; the presented one is used up.

        Raises SessionEnded alike for an invented, used, expired or revoked token (a used one ends its
        session first), and SigningUnavailable before anything is used.
        """
        presented = find_refresh_token(text)
        if presented is None:
            raise SessionEnded
        signer = await self.signing.get_signer()
        try:
            async with self.database.begin(presented.tenant) as tx:
                outcome = await self._rotate(tx, presented)
        except SessionEnded as refused:
            if refused.principal is not None:  # otherwise not even the tenant need be one
                self.denials.note(presented.tenant, refused.principal, REFRESH)
            raise
        if outcome is None:
            # The alarm is committed before the refusal is raised: an exception would have undone it.
            await self.announcer.announce()
            raise SessionEnded
        account, session = outcome
        return signed_in(presented.tenant, account, session, signer)

    async def _rotate(self, tx: Transaction, presented: RefreshToken) -> tuple[Account, OpenedSession] | None:
        """Return the session with its next token, or None when it has just been ended by a used one."""
        now = self.clock.now()
        account, session = await self._get_locked(tx, presented)
        decision = decide_refresh(session, presented, now)
        if decision is Refreshing.REFUSE:
            raise SessionEnded(session.principal)
        if decision is Refreshing.REUSED:
            reason, whose = EndReason.REFRESH_REUSED, session.principal
            ended = await tx.sessions.end(session.session, reason, now)
            await tx.publish(
                *revoked_of(whose, ended, reason), *sessions_ended(whose, ended, reason, SYSTEM, now)
            )
            return None
        following = rotated(presented.tenant, session, self.randomness.bytes(SECRET_BYTES), now)
        await tx.sessions.rotate(following.session)
        return account, following

    async def _get_locked(self, tx: Transaction, presented: RefreshToken) -> tuple[Account, Session]:
        """Return the session and its active principal, which is locked first, as everywhere."""
        unlocked = await tx.sessions.find(presented.session)
        account = None if unlocked is None else await tx.principals.find_account(unlocked.principal)
        session = None if account is None else await tx.sessions.find_locked(presented.session)
        if account is None or session is None:
            raise SessionEnded(None if unlocked is None else unlocked.principal)
        return account, session
