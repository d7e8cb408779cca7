"""Sessions in PostgreSQL, and the numbered revocations of those that ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from libs.db.pool import Transaction
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId
from services.identity.domain.sessions import EndReason, Session

_START: Final = """
WITH device AS (
    INSERT INTO identity.device (tenant, device, principal, name, created_at)
    VALUES (%(tenant)s, %(device)s, %(principal)s, %(device_name)s, %(started_at)s)
)
INSERT INTO identity.session (tenant, session, principal, device, started_at, expires_at, number, digest,
                              mark_key)
VALUES (%(tenant)s, %(session)s, %(principal)s, %(device)s, %(started_at)s, %(expires_at)s, %(number)s,
        %(digest)s, %(mark_key)s)
"""
_FIND: Final = """
SELECT session, principal, device, started_at, expires_at, number, digest, mark_key,
       ended_at IS NOT NULL AS ended
  FROM identity.session WHERE tenant = %s AND session = %s
"""
_FIND_LOCKED: Final = _FIND + " FOR NO KEY UPDATE"
_ROTATE: Final = """
UPDATE identity.session SET number = %s, digest = %s, expires_at = %s WHERE tenant = %s AND session = %s
"""
_END: Final = """
UPDATE identity.session SET ended_at = %(now)s, end_reason = %(reason)s
 WHERE tenant = %(tenant)s AND {which} AND ended_at IS NULL
RETURNING session, principal
"""
_END_ONE: Final = _END.format(which="session = %(subject)s")
_END_ALL_OF: Final = _END.format(which="principal = %(subject)s")
# The numbers come from the platform's one head row, locked to commit like an outbox head: whoever sees
# position N has every revocation up to N.
_ADVANCE: Final = """
UPDATE identity.revocation_head SET position = position + %s RETURNING position
"""
_NUMBER: Final = """
INSERT INTO identity.revocation (tenant, position, principal, session, revoked_at)
SELECT %s, %s + ended.step, ended.principal, ended.session, %s
  FROM unnest(%s::uuid[], %s::uuid[]) WITH ORDINALITY AS ended (session, principal, step)
"""


class PostgresSessions:
    """The sessions of the transaction's tenant."""

    def __init__(self, tx: Transaction, tenant: TenantId) -> None:
        """Speak through `tx`."""
        self._tx = tx
        self._tenant = tenant

    async def start(self, session: Session, device_name: str) -> None:
        """Keep a new session on a new device."""
        await self._tx.execute(
            _START,
            {
                "tenant": self._tenant,
                "session": session.session,
                "principal": session.principal,
                "device": session.device,
                "device_name": device_name,
                "started_at": session.started_at,
                "expires_at": session.expires_at,
                "number": session.number,
                "digest": session.digest,
                "mark_key": session.mark_key,
            },
        )

    async def find(self, session: SessionId) -> Session | None:
        """Return a session."""
        row = await self._tx.fetch_one(_FIND, (self._tenant, session))
        return None if row is None else _session_of(row)

    async def find_locked(self, session: SessionId) -> Session | None:
        """Return a session and keep others from changing it until the transaction ends."""
        row = await self._tx.fetch_one(_FIND_LOCKED, (self._tenant, session))
        return None if row is None else _session_of(row)

    async def rotate(self, session: Session) -> None:
        """Keep a session's next number, digest and expiry."""
        row = (session.number, session.digest, session.expires_at, self._tenant, session.session)
        await self._tx.execute(_ROTATE, row)

    async def end(self, session: SessionId, reason: EndReason, now: datetime) -> list[SessionId]:
        """End a session and number its revocation; return it unless it had ended before."""
        return await self._end(_END_ONE, session, reason, now)

    async def end_all_of(self, principal: PrincipalId, reason: EndReason, now: datetime) -> list[SessionId]:
        """End every session of a principal and number the revocations; return those that had not ended."""
        return await self._end(_END_ALL_OF, principal, reason, now)

    async def _end(
        self, statement: str, subject: SessionId | PrincipalId, reason: EndReason, now: datetime
    ) -> list[SessionId]:
        parameters = {"tenant": self._tenant, "subject": subject, "reason": reason.value, "now": now}
        ended = await self._tx.fetch_all(statement, parameters)
        if ended:
            await self._number(ended, now)
        return [SessionId(row.session) for row in ended]

    async def _number(self, ended: Sequence[Any], now: datetime) -> None:
        """Give each ended session its place in the platform's list of revocations."""
        head = await self._tx.fetch_one(_ADVANCE, (len(ended),))
        before = head.position - len(ended) if head is not None else 0
        sessions, principals = [row.session for row in ended], [row.principal for row in ended]
        await self._tx.execute(_NUMBER, (self._tenant, before, now, sessions, principals))


def _session_of(row: Any) -> Session:
    return Session(
        session=SessionId(row.session),
        principal=PrincipalId(row.principal),
        device=DeviceId(row.device),
        started_at=row.started_at,
        expires_at=row.expires_at,
        number=row.number,
        digest=row.digest,
        mark_key=row.mark_key,
        ended=row.ended,
    )
