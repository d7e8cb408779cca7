"""The public routes of the key service: the keys by which anyone can check a token, or evidence."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from libs.authn.jwks import jwk_of
from services.keys.domain.signing import SigningKey
from services.keys.usecases.publish_token_keys import PublishTokenKeys
from services.keys.usecases.publish_trust import PublishTrust

PREFIX: Final = "/keys/v1"
_MAX_AGE_SECONDS: Final = 60


class Jwk(BaseModel):
    """One public Ed25519 key. Source: RFC 7517, RFC 8037."""

    kty: str = "OKP"
    crv: str = "Ed25519"
    use: str = "sig"
    alg: str = "EdDSA"
    kid: str = Field(description="The JWK thumbprint (RFC 7638), as in the header of a token.")
    x: str = Field(description="The public key, 32 bytes in base64url without padding.")


class JwkSet(BaseModel):
    """The keys of every token that may still be good, oldest first."""

    keys: list[Jwk]


class TrustedKey(BaseModel):
    """One key that signs or once signed, and when it may have."""

    kid: str = Field(description="The JWK thumbprint (RFC 7638).")
    use: str = Field(description="What it signs, as `tokens` or `checkpoints`, and nothing else.")
    algorithm: Literal["ed25519"] = "ed25519"
    public: str = Field(description="The public key, 32 bytes in base64.")
    not_before: str = Field(description="The first instant of its range, in UTC.")
    not_after: str = Field(description="The end of its range; earlier than foreseen, if it was rotated.")


class Trust(BaseModel):
    """All keys that ever signed, by use, oldest first: `muniment verify --trust` reads this document."""

    v: Literal[1] = 1
    instance: str = Field(description="The name with which the origin of every log begins.")
    keys: list[TrustedKey]


def public_routes(publish: PublishTokenKeys, publish_trust: PublishTrust, instance: str) -> APIRouter:
    """Return the routes that need no token."""
    router = APIRouter(prefix=PREFIX, tags=["keys"])

    @router.get("/jwks.json", summary="Public keys of access tokens")
    async def jwks(response: Response) -> JwkSet:
        """Return the JWK set; ask again when a token names a key that is not in it."""
        response.headers["cache-control"] = f"public, max-age={_MAX_AGE_SECONDS}"
        keys = await publish()
        return JwkSet(keys=[Jwk(**jwk_of(kid, public)) for kid, public in keys.items()])

    @router.get("/trust.json", summary="Public keys of everything that is signed")
    async def trust(response: Response) -> Trust:
        """Return every signing key that there ever was, with its range."""
        response.headers["cache-control"] = f"public, max-age={_MAX_AGE_SECONDS}"
        keys = await publish_trust()
        return Trust(instance=instance, keys=[_trusted(key) for key in keys])

    return router


def _trusted(key: SigningKey) -> TrustedKey:
    return TrustedKey(
        kid=key.kid,
        use=key.use,
        public=b64encode(key.public).decode(),
        not_before=_text(key.not_before),
        not_after=_text(key.not_after),
    )


def _text(instant: datetime) -> str:
    """Return an instant as `2026-11-24T09:00:00.000000Z`, always to the microsecond."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
