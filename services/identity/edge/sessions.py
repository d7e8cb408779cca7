"""Signing in, staying signed in, signing out."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from libs.authn.actor import Actor
from services.identity.usecases.refresh import RefreshSession
from services.identity.usecases.sessions import SignedIn
from services.identity.usecases.sign_in import SignInByCode, SignInByPassword
from services.identity.usecases.sign_out import SignOut

CurrentActor = Callable[..., Awaitable[Actor]]

_NO_NUL: Final = r"^[^\x00]*$"
Name = Annotated[str, StringConstraints(min_length=1, max_length=320, pattern=_NO_NUL)]
DeviceName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=_NO_NUL)
]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class PasswordSignIn(_Input):
    """Who signs in by password, where the tenant allows that."""

    tenant: Name
    user_name: Name
    password: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    device_name: DeviceName


class CodeSignIn(_Input):
    """Who signs in by a one-time code."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    device_name: DeviceName


class Refresh(_Input):
    """A device that asks for its next tokens."""

    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class SignedInAnswer(BaseModel):
    """A session's tokens and whose they are; `expires_in` is the access token's life in seconds."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750's word
    expires_in: int
    refresh_token: str
    tenant: UUID
    principal: UUID
    session: UUID
    device: UUID
    display_name: str
    roles: list[str]


def session_routes(
    by_password: SignInByPassword,
    by_code: SignInByCode,
    refresh: RefreshSession,
    sign_out: SignOut,
    current_actor: CurrentActor,
) -> APIRouter:
    """Return the routes under /identity/v1/sessions."""
    router = APIRouter(prefix="/identity/v1/sessions", tags=["sessions"])

    @router.post("", status_code=201, summary="Sign in by password or by a one-time code")
    async def start(wanted: Annotated[PasswordSignIn | CodeSignIn, Body()]) -> SignedInAnswer:
        if isinstance(wanted, CodeSignIn):
            return _answer_of(await by_code(wanted.code, wanted.device_name))
        return _answer_of(
            await by_password(wanted.tenant, wanted.user_name, wanted.password, wanted.device_name)
        )

    @router.post("/refresh", summary="Change the refresh token for the next tokens")
    async def renew(wanted: Refresh) -> SignedInAnswer:
        return _answer_of(await refresh(wanted.refresh_token))

    @router.delete("/current", status_code=204, summary="Sign out")
    async def end(actor: Annotated[Actor, Depends(current_actor)]) -> Response:
        await sign_out(actor)
        return Response(status_code=204)

    return router


def _answer_of(signed_in: SignedIn) -> SignedInAnswer:
    return SignedInAnswer(
        access_token=signed_in.access_token.text,
        expires_in=signed_in.access_token.expires_in,
        refresh_token=signed_in.refresh_token,
        tenant=signed_in.tenant,
        principal=signed_in.principal,
        session=signed_in.session,
        device=signed_in.device,
        display_name=signed_in.display_name,
        roles=sorted(signed_in.roles),
    )
