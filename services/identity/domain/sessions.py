"""Sessions: a device that signed in, and the refresh token that keeps it signed in.

A refresh token is used once: each use gives the next one. One that comes a second time was copied, and
ends its session. To tell a copied token from an invented one without keeping every token ever issued,
each carries its number and a mark of the session's own key; of the current one only the hash is kept.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final
from uuid import UUID

from libs.kernel.framing import framed
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId

IDLE_LIFETIME: Final = timedelta(days=30)
"""A session that is not refreshed for this long is over."""
SECRET_BYTES: Final = 32
_MARK_BYTES: Final = 16
_PREFIX: Final = "mrt1_"
_NUMBER: Final = struct.Struct(">I")
_RAW_BYTES: Final = 16 + 16 + _NUMBER.size + SECRET_BYTES + _MARK_BYTES


class EndReason(Enum):
    """Why a session ended before its time."""

    SIGNED_OUT = "signed_out"
    REFRESH_REUSED = "refresh_token_reused"
    DEACTIVATED = "principal_deactivated"


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a refresh token's text says: whose it is, its number in the session, its secret and its mark."""

    tenant: TenantId
    session: SessionId
    number: int
    secret: bytes
    mark: bytes

    def text(self) -> str:
        """Return the token as the device keeps it."""
        raw = self.tenant.bytes + self.session.bytes + _NUMBER.pack(self.number) + self.secret + self.mark
        return _PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def digest(self) -> bytes:
        """Return what is kept of the token: SHA-256 of its secret."""
        return hashlib.sha256(self.secret).digest()


def find_refresh_token(text: str) -> RefreshToken | None:
    """Return what the text says, or None if it is no refresh token; whether it is good stays open."""
    if not text.startswith(_PREFIX) or not text.isascii():
        return None
    body = text.removeprefix(_PREFIX)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    if len(raw) != _RAW_BYTES:
        return None
    return RefreshToken(
        tenant=TenantId(UUID(bytes=raw[:16])),
        session=SessionId(UUID(bytes=raw[16:32])),
        number=_NUMBER.unpack_from(raw, 32)[0],
        secret=raw[36 : 36 + SECRET_BYTES],
        mark=raw[36 + SECRET_BYTES :],
    )


@dataclass(frozen=True, slots=True)
class Session:
    """A device's session, as it is kept: never the refresh token itself.

    `mark_key` (32 bytes) proves only that a token was once issued here; knowing it opens nothing.
    """

    session: SessionId
    principal: PrincipalId
    device: DeviceId
    started_at: datetime
    expires_at: datetime
    number: int
    digest: bytes
    mark_key: bytes
    ended: bool = False


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session together with the refresh token that was just issued for it."""

    session: Session
    token: RefreshToken


class Refreshing(Enum):
    """What a presented refresh token means."""

    ROTATE = "rotate"
    REUSED = "reused"
    REFUSE = "refuse"


def decide_refresh(session: Session, presented: RefreshToken, now: datetime) -> Refreshing:
    """Return what `presented` means for `session`: the next token, an alarm, or nothing at all."""
    if session.ended or now >= session.expires_at or not _is_marked(session, presented):
        return Refreshing.REFUSE
    if presented.number < session.number:
        return Refreshing.REUSED
    if presented.number == session.number and hmac.compare_digest(presented.digest(), session.digest):
        return Refreshing.ROTATE
    return Refreshing.REFUSE


def opened(tenant: TenantId, session: Session, secret: bytes) -> OpenedSession:
    """Return the session with a first refresh token made of `secret` (32 random bytes)."""
    token = _token(tenant, session, session.number, secret)
    return OpenedSession(replace(session, digest=token.digest()), token)


def rotated(tenant: TenantId, session: Session, secret: bytes, now: datetime) -> OpenedSession:
    """Return the session with its next refresh token; its idle time begins again at `now`."""
    token = _token(tenant, session, session.number + 1, secret)
    following = replace(session, number=token.number, digest=token.digest(), expires_at=now + IDLE_LIFETIME)
    return OpenedSession(following, token)


def _token(tenant: TenantId, session: Session, number: int, secret: bytes) -> RefreshToken:
    unmarked = RefreshToken(tenant, session.session, number, secret, b"")
    return replace(unmarked, mark=_mark_of(session.mark_key, unmarked))


def _mark_of(mark_key: bytes, token: RefreshToken) -> bytes:
    message = framed(token.tenant.bytes, token.session.bytes, _NUMBER.pack(token.number), token.secret)
    return hmac.digest(mark_key, message, "sha256")[:_MARK_BYTES]


def _is_marked(session: Session, token: RefreshToken) -> bool:
    return hmac.compare_digest(_mark_of(session.mark_key, token), token.mark)
