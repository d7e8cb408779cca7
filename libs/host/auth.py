"""Who calls: FastAPI dependencies that turn a bearer token into an actor or into a service's name."""

from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, Protocol

from fastapi import Security
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from libs.authn.actor import Actor
from libs.authn.errors import Unauthenticated
from libs.host.errors import ServiceNotAllowed


class ActorVerifier(Protocol):
    """Tells who acts by an access token; `libs.authn.tokens.TokenVerifier` does."""

    async def verify(self, token: str) -> Actor:
        """Return the actor. Raises Unauthenticated, or VerificationUnavailable."""
        ...


class RevocationCheck(Protocol):
    """Tells whether an actor's session still lives; `libs.authn.revocations.RevocationView` does."""

    def check(self, actor: Actor) -> None:
        """Return when it lives. Raises Unauthenticated, or RevocationsUnknown."""
        ...


class PeerVerifier(Protocol):
    """Tells which service calls; `libs.authn.service_tokens.ServiceTokenVerifier` does."""

    def verify(self, token: str) -> str:
        """Return the service's name. Raises Unauthenticated."""
        ...


class Bearer(SecurityBase):
    """The dependency that gives the bearer token, of requests and sockets alike, and says so in OpenAPI."""

    def __init__(self, name: str) -> None:
        """Call the scheme `name` in the documentation."""
        self.model = HTTPBearerModel(bearerFormat="JWT")
        self.scheme_name = name

    async def __call__(self, connection: HTTPConnection) -> str:
        """Return the token. Raises Unauthenticated."""
        return bearer_of(connection)


def bearer_of(connection: HTTPConnection) -> str:
    """Return the bearer token of the Authorization header. Raises Unauthenticated when there is none.

    Source: RFC 6750, section 2.1.
    """
    values = connection.headers.getlist("authorization")
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or not token.isascii():
        raise Unauthenticated
    return token


def require_actor(
    verifier: ActorVerifier, revocations: RevocationCheck | None
) -> Callable[[str], Awaitable[Actor]]:
    """Return a dependency: `actor: Annotated[Actor, Depends(require_actor(...))]`.

    `revocations` is None in identity alone, which asks its own tables.
    """

    async def actor_of(token: Annotated[str, Security(Bearer("access token"))]) -> Actor:
        actor = await verifier.verify(token)
        if revocations is not None:
            revocations.check(actor)
        return actor

    return actor_of


def require_service(verifier: PeerVerifier, allowed: Collection[str]) -> Callable[[str], Awaitable[str]]:
    """Return a dependency that gives the name of the calling service, one of `allowed`."""
    names = frozenset(allowed)

    async def service_of(token: Annotated[str, Security(Bearer("service token"))]) -> str:
        service = verifier.verify(token)
        if service not in names:
            raise ServiceNotAllowed(service)
        return service

    return service_of
