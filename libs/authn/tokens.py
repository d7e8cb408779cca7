"""Access tokens: short-lived JWTs signed with Ed25519, which each service verifies by itself.

Source: RFC 7519 (JWT), RFC 8037 (EdDSA in JOSE), RFC 9068 (the type `at+jwt`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from libs.authn.actor import Actor
from libs.authn.errors import Unauthenticated
from libs.kernel.clock import Clock
from libs.kernel.ids import DeviceId, Ids, PrincipalId, SessionId, TenantId

ISSUER: Final = "muniment"
AUDIENCE: Final = "muniment"
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - a media type, not a secret
ALGORITHM: Final = "EdDSA"
MAXIMUM_LIFETIME: Final = timedelta(seconds=300)
CLOCK_SKEW: Final = timedelta(seconds=5)
"""How far the signer's clock may run ahead of the verifier's; never added to a token's life."""
_LONGEST_TOKEN: Final = 4096
"""Characters; a longer text is refused before anything parses it."""

_OPTIONS: Final[Any] = {
    "strict_aud": True,
    "require": ["iss", "aud", "sub", "iat", "exp", "jti"],
    # Times are judged below, by the clock port: PyJWT would read the system's.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


class KeySource(Protocol):
    """Knows the public keys that sign access tokens now."""

    async def find_key(self, kid: str) -> Ed25519PublicKey | None:
        """Return the key named `kid`, or None when no such key signs tokens.

        Raises VerificationUnavailable when that cannot be found out now.
        """
        ...


@dataclass(frozen=True, slots=True)
class SignedToken:
    """An access token and the instant (aware, UTC) from which it is refused."""

    token: str
    expires_at: datetime

    def expires_in(self, now: datetime) -> int:
        """Return the whole seconds that the token has left at `now`, never less than 0."""
        return max(0, int((self.expires_at - now).total_seconds()))


class TokenSigner:
    """Signs access tokens with one Ed25519 key."""

    def __init__(self, kid: str, seed: bytes, clock: Clock, ids: Ids) -> None:
        """Sign with the key whose 32-byte private seed is `seed` and whose public name is `kid`."""
        self._kid = kid
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._clock = clock
        self._ids = ids

    def sign(
        self,
        *,
        tenant: TenantId,
        principal: PrincipalId,
        session: SessionId,
        device: DeviceId,
        roles: Iterable[str],
        lifetime: timedelta = MAXIMUM_LIFETIME,
    ) -> SignedToken:
        """Return a token for one session, good for `lifetime` (at most 300 s) from now."""
        issued = self._clock.now().replace(microsecond=0)
        expires = issued + min(lifetime, MAXIMUM_LIFETIME)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(principal),
            "tenant": str(tenant),
            "session": str(session),
            "device": str(device),
            "roles": sorted(roles),
            "iat": int(issued.timestamp()),
            "exp": int(expires.timestamp()),
            "jti": str(self._ids.uuid7()),
        }
        headers = {"kid": self._kid, "typ": TOKEN_TYPE}
        return SignedToken(jwt.encode(claims, self._key, algorithm=ALGORITHM, headers=headers), expires)


class _Claims(msgspec.Struct, frozen=True):
    """The claims that an access token must carry, typed; unknown claims are ignored."""

    sub: UUID
    tenant: UUID
    session: UUID
    device: UUID
    roles: frozenset[str]
    iat: int
    exp: int
    nbf: int = 0


class TokenVerifier:
    """Tells from an access token alone who acts; whether the session still lives is asked elsewhere."""

    def __init__(self, keys: KeySource, clock: Clock) -> None:
        """Trust the keys that `keys` knows, and judge times by `clock`."""
        self._keys = keys
        self._clock = clock

    async def verify(self, token: str) -> Actor:
        """Return who acts by `token`.

        Raises Unauthenticated for every defect alike, and VerificationUnavailable when the key it
        names is unknown and cannot be asked for now.
        """
        key = await self._keys.find_key(_kid_of(token))
        if key is None:
            raise Unauthenticated
        return _actor_of(_claims_of(token, key), self._clock.now())


def _kid_of(token: str) -> str:
    """Return the key's name in the token's header, once everything else there is as it must be."""
    if len(token) > _LONGEST_TOKEN:
        raise Unauthenticated
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Unauthenticated from None
    kid = header.get("kid")
    if header.get("alg") != ALGORITHM or header.get("typ") != TOKEN_TYPE or not isinstance(kid, str):
        raise Unauthenticated
    return kid


def _claims_of(token: str, key: Ed25519PublicKey) -> _Claims:
    """Return the claims under a signature that holds."""
    try:
        claims = jwt.decode(
            token, key, algorithms=[ALGORITHM], issuer=ISSUER, audience=AUDIENCE, options=_OPTIONS
        )
        return msgspec.convert(claims, _Claims)
    except (jwt.PyJWTError, msgspec.ValidationError, ValueError, TypeError):
        raise Unauthenticated from None


def _actor_of(claims: _Claims, now: datetime) -> Actor:
    """Return the actor, if `now` lies within the token's life and that life is no longer than allowed."""
    present = now.timestamp()
    too_early = max(claims.iat, claims.nbf) > present + CLOCK_SKEW.total_seconds()
    too_long = claims.exp - claims.iat > MAXIMUM_LIFETIME.total_seconds()
    if present >= claims.exp or too_early or too_long:
        raise Unauthenticated
    return Actor(
        tenant=TenantId(claims.tenant),
        principal=PrincipalId(claims.sub),
        session=SessionId(claims.session),
        device=DeviceId(claims.device),
        roles=claims.roles,
        expires_at=datetime.fromtimestamp(claims.exp, UTC),
    )
