"""A session: signed in once, with an access token that renews itself."""

import asyncio
from typing import Final
from uuid import UUID

import msgspec

from libs.client.api import Api
from libs.client.errors import SignedOut
from libs.kernel.clock import Clock

SESSIONS: Final = "/identity/v1/sessions"
RENEW_SECONDS: Final = 30.0
"""A token with less than this to live is renewed before it is used."""


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """What identity answers to a sign-in or a refresh; prints without its tokens."""

    access_token: str
    expires_in: float
    refresh_token: str
    tenant: UUID
    principal: UUID
    session: UUID
    device: UUID
    roles: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return who is signed in, without the tokens."""
        return f"SignedIn(tenant={self.tenant}, principal={self.principal}, device={self.device})"


class Session:
    """Keeps the tokens of one device."""

    def __init__(self, api: Api, clock: Clock) -> None:
        """Sign in and refresh through `api`; ages of tokens are read from `clock`."""
        self._api = api
        self._clock = clock
        self._signed_in: SignedIn | None = None
        self._expires_at = 0.0
        self._renewing = asyncio.Lock()

    @property
    def signed_in(self) -> SignedIn:
        """Return who is signed in. Raises SignedOut when nobody is."""
        if self._signed_in is None:
            msg = "nobody is signed in"
            raise SignedOut(msg)
        return self._signed_in

    async def sign_in(self, tenant: str, user_name: str, password: str, device_name: str) -> SignedIn:
        """Sign in by password at the tenant with this slug. Raises SignedOut, Refused, Unreachable."""
        return await self._begin(
            {"tenant": tenant, "user_name": user_name, "password": password, "device_name": device_name}
        )

    async def sign_in_with_code(self, code: str, device_name: str) -> SignedIn:
        """Sign in by a one-time code. Raises SignedOut, Refused, Unreachable."""
        return await self._begin({"code": code, "device_name": device_name})

    async def sign_out(self) -> None:
        """End the session at the platform and forget its tokens."""
        token = await self.access_token()
        await self._api.call("DELETE", f"{SESSIONS}/current", type(None), token=token)
        self._signed_in = None

    async def access_token(self) -> str:
        """Return a token that is good for a while. Raises SignedOut when the session is over."""
        if self._clock.monotonic() > self._expires_at - RENEW_SECONDS:
            await self.renew(self.signed_in.access_token)
        return self.signed_in.access_token

    async def renew(self, refused_token: str) -> None:
        """Get a new access token in place of `refused_token`, once however many ask.

        Raises SignedOut when the session is over, Unreachable when identity does not answer.
        """
        async with self._renewing:
            if self.signed_in.access_token != refused_token:
                return
            self._keep(
                await self._api.call(
                    "POST",
                    f"{SESSIONS}/refresh",
                    SignedIn,
                    body={"refresh_token": self.signed_in.refresh_token},
                )
            )

    async def _begin(self, credentials: dict[str, str]) -> SignedIn:
        return self._keep(await self._api.call("POST", SESSIONS, SignedIn, body=credentials))

    def _keep(self, signed_in: SignedIn) -> SignedIn:
        self._signed_in = signed_in
        self._expires_at = self._clock.monotonic() + signed_in.expires_in
        return signed_in
