"""Service tokens: one service proves to another which service it is, for a minute at most.

Each service holds an Ed25519 seed of its own and the public keys of its peers, so that no secret is
shared and a token for one target is worth nothing at another.
"""

import base64
from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from libs.authn.errors import Unauthenticated
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids

TOKEN_TYPE: Final = "svc+jwt"  # noqa: S105 - a media type, not a secret
LIFETIME: Final = timedelta(seconds=60)
REUSE: Final = timedelta(seconds=30)
"""How long a signer hands out one token again."""
CLOCK_SKEW: Final = timedelta(seconds=5)
_ALGORITHM: Final = "EdDSA"
_LONGEST_TOKEN: Final = 2048
_REMEMBERED: Final = 256
_OPTIONS: Final[Any] = {
    "strict_aud": True,
    "require": ["iss", "aud", "iat", "exp"],
    # Times are judged below, by the clock port: PyJWT would read the system's.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


def public_key_of(seed: bytes) -> bytes:
    """Return the raw 32-byte public key of a raw 32-byte Ed25519 private seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


class ServiceTokenSigner:
    """Signs this service's calls."""

    def __init__(self, service: str, seed: bytes, clock: Clock, ids: Ids) -> None:
        """Sign as `service` with its raw 32-byte private `seed`."""
        self._service = service
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._clock = clock
        self._ids = ids
        self._recent: dict[str, tuple[float, str]] = {}

    def token_for(self, target: str) -> str:
        """Return a token that proves this service to `target`, good for 30 to 60 seconds."""
        now = self._clock.now().timestamp()
        signed_at, token = self._recent.get(target, (0.0, ""))
        if not 0 <= now - signed_at < REUSE.total_seconds():
            token = self._sign(target, int(now))
            self._recent[target] = (now, token)
        return token

    def _sign(self, target: str, issued: int) -> str:
        claims = {
            "iss": self._service,
            "aud": target,
            "iat": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
            "jti": str(self._ids.uuid7()),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"typ": TOKEN_TYPE})


class ServiceTokenVerifier:
    """Tells which peer calls."""

    def __init__(self, service: str, peer_keys: Mapping[str, str], clock: Clock) -> None:
        """Accept tokens for `service` from the peers in `peer_keys` (name → base64 raw public key)."""
        self._service = service
        self._clock = clock
        self._peers = {
            name: Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
            for name, key in peer_keys.items()
        }
        # A peer repeats its token for half a minute: one signature check serves all those calls.
        self._proved: OrderedDict[str, tuple[str, int, int]] = OrderedDict()

    def verify(self, token: str) -> str:
        """Return the name of the peer that signed `token`; raises Unauthenticated for every defect."""
        proved = self._proved.get(token)
        if proved is None:
            proved = self._prove(token)
            self._proved[token] = proved
            if len(self._proved) > _REMEMBERED:
                self._proved.popitem(last=False)
        service, issued, expires = proved
        now = self._clock.now().timestamp()
        if not issued - CLOCK_SKEW.total_seconds() <= now < expires:
            raise Unauthenticated
        return service

    def _prove(self, token: str) -> tuple[str, int, int]:
        """Return (service, issued, expires) under a signature of that very service."""
        if len(token) > _LONGEST_TOKEN:
            raise Unauthenticated
        try:
            if jwt.get_unverified_header(token).get("typ") != TOKEN_TYPE:
                raise Unauthenticated
            claimed = str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
            key = self._peers[claimed]
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=claimed,
                audience=self._service,
                options=_OPTIONS,
            )
            issued, expires = int(claims["iat"]), int(claims["exp"])
        except (jwt.PyJWTError, KeyError, ValueError, TypeError):
            raise Unauthenticated from None
        if expires - issued > LIFETIME.total_seconds():
            raise Unauthenticated
        return claimed, issued, expires
