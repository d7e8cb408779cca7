"""The public route of the key service: the keys by which anyone can check a token."""

from typing import Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from libs.authn.jwks import jwk_of
from services.keys.usecases.publish_token_keys import PublishTokenKeys

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


def public_routes(publish: PublishTokenKeys) -> APIRouter:
    """Return the routes that need no token."""
    router = APIRouter(prefix=PREFIX, tags=["keys"])

    @router.get("/jwks.json", summary="Public keys of access tokens")
    async def jwks(response: Response) -> JwkSet:
        """Return the JWK set; ask again when a token names a key that is not in it."""
        response.headers["cache-control"] = f"public, max-age={_MAX_AGE_SECONDS}"
        keys = await publish()
        return JwkSet(keys=[Jwk(**jwk_of(kid, public)) for kid, public in keys.items()])

    return router
