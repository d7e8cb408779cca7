"""What signing in and refreshing give to a device, and how a session begins."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from libs.contracts.events import SessionRevoked, SessionStarted
from libs.kernel.clock import Clock
from libs.kernel.ids import DeviceId, Ids, PrincipalId, SessionId, TenantId
from libs.kernel.randomness import Randomness
from services.identity.domain.acts import session_started
from services.identity.domain.principals import Account
from services.identity.domain.sessions import (
    IDLE_LIFETIME,
    SECRET_BYTES,
    EndReason,
    OpenedSession,
    Session,
    opened,
)
from services.identity.ports.outside import AccessToken, Signer
from services.identity.ports.store import Transaction


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a device gets: two tokens, and who it acts for. The tokens are left out of its text."""

    tenant: TenantId
    principal: PrincipalId
    session: SessionId
    device: DeviceId
    display_name: str
    roles: frozenset[str]
    access_token: AccessToken = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionOpener:
    """Begins sessions; the part that all ways of signing in share."""

    clock: Clock
    ids: Ids
    randomness: Randomness

    async def open(
        self, tx: Transaction, tenant: TenantId, account: Account, device_name: str
    ) -> OpenedSession:
        """Keep a new session of `account` on a new device, and publish that it began."""
        now = self.clock.now()
        session = self._new(tenant, account, now)
        await tx.sessions.start(session.session, device_name)
        await tx.publish(
            SessionStarted(
                session=session.session.session, principal=account.principal, device=session.session.device
            ),
            session_started(session.session),
        )
        return session

    def _new(self, tenant: TenantId, account: Account, now: datetime) -> OpenedSession:
        blank = Session(
            session=SessionId(self.ids.uuid7()),
            principal=account.principal,
            device=DeviceId(self.ids.uuid7()),
            started_at=now,
            expires_at=now + IDLE_LIFETIME,
            number=1,
            digest=b"",
            mark_key=self.randomness.bytes(SECRET_BYTES),
        )
        return opened(tenant, blank, self.randomness.bytes(SECRET_BYTES))


def signed_in(tenant: TenantId, account: Account, session: OpenedSession, signer: Signer) -> SignedIn:
    """Return what the device gets for a session that is committed."""
    kept = session.session
    return SignedIn(
        tenant=tenant,
        principal=account.principal,
        session=kept.session,
        device=kept.device,
        display_name=account.display_name,
        roles=account.roles,
        access_token=signer.sign(
            tenant=tenant,
            principal=account.principal,
            session=kept.session,
            device=kept.device,
            roles=account.roles,
        ),
        refresh_token=session.token.text(),
    )


def revoked_of(
    principal: PrincipalId, sessions: Sequence[SessionId], reason: EndReason
) -> list[SessionRevoked]:
    """Return the events that say which sessions of a principal ended, and why."""
    return [SessionRevoked(session=session, principal=principal, reason=reason.value) for session in sessions]
