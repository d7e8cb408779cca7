"""Public keys of token signers: from a published JWK set, or given.

Source: RFC 7517 (JWK set), RFC 8037 (OKP keys).
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from libs.authn.errors import VerificationUnavailable
from libs.kernel.clock import Clock

_log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0
"""Between two fetches, so that forged key names cannot make this service a flood."""
_MAXIMUM_AGE_SECONDS: Final = 300.0
"""After which even known keys are asked for again, so that a withdrawn key stops working."""


class StaticKeySource:
    """A fixed set of keys."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Know the raw 32-byte public keys in `keys`, by their kid."""
        self._keys = {kid: Ed25519PublicKey.from_public_bytes(raw) for kid, raw in keys.items()}

    async def find_key(self, kid: str) -> Ed25519PublicKey | None:
        """Return the key named `kid`, or None."""
        return self._keys.get(kid)


class JwksKeySource:
    """Keys from a JWK set, fetched at most once a second: on an unknown kid, or when they are old."""

    def __init__(self, fetch: Callable[[], Awaitable[bytes]], clock: Clock) -> None:
        """Get the set's JSON text from `fetch`; whatever that raises means that it failed."""
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._failing = False
        self._turn = asyncio.Lock()

    async def find_key(self, kid: str) -> Ed25519PublicKey | None:
        """Return the key named `kid`, or None when the set, as fresh as may be, does not hold it.

        Raises VerificationUnavailable when the key is unknown and the last fetch failed.
        """
        if kid not in self._keys or self._is_old():
            async with self._turn:
                if kid not in self._keys or self._is_old():
                    await self._refresh()
        key = self._keys.get(kid)
        if key is None and self._failing:
            raise VerificationUnavailable
        return key

    def _is_old(self) -> bool:
        return self._fetched_at is None or self._clock.monotonic() - self._fetched_at > _MAXIMUM_AGE_SECONDS

    async def _refresh(self) -> None:
        """Fetch the set, unless that was tried within the last second; on failure keep the known keys."""
        now = self._clock.monotonic()
        if self._tried_at is not None and now - self._tried_at < _PAUSE_SECONDS:
            return
        self._tried_at = now
        try:
            self._keys = keys_of(await self._fetch())
        except Exception as error:  # noqa: BLE001 - any failure of the fetch means the same here
            self._failing = True
            _log.warning("the token keys could not be fetched: %s", type(error).__name__)
        else:
            self._failing = False
            self._fetched_at = now


class _Jwk(msgspec.Struct):
    """One key of a set; members of other key types are read and passed over."""

    kty: str
    kid: str = ""
    crv: str = ""
    x: str = ""
    use: str = "sig"


class _JwkSet(msgspec.Struct):
    keys: list[_Jwk]


def keys_of(jwk_set: bytes) -> dict[str, Ed25519PublicKey]:
    """Return the Ed25519 signature keys of a JWK set in JSON, by their kid; raises ValueError."""
    found: dict[str, Ed25519PublicKey] = {}
    for jwk in msgspec.json.decode(jwk_set, type=_JwkSet).keys:
        if jwk.kty == "OKP" and jwk.crv == "Ed25519" and jwk.kid and jwk.use == "sig":
            found[jwk.kid] = Ed25519PublicKey.from_public_bytes(_unpadded(jwk.x))
    return found


def jwk_of(kid: str, raw: bytes) -> dict[str, str]:
    """Return the JWK of a raw 32-byte Ed25519 public key."""
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x}


def _unpadded(text: str) -> bytes:
    """Return the bytes of base64url without padding; raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        msg = "not base64url"
        raise ValueError(msg) from error
