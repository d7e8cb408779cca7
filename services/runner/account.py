"""Somebody's account at a platform, for commands that act as a person: where it is, and a session there."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from libs.client.api import Api
from libs.client.errors import ClientError
from libs.client.session import Session
from libs.kernel.clock import SystemClock
from services.runner.deployment import read_facts
from services.runner.errors import RunnerError

T = TypeVar("T")
DEVICE_NAME: Final = "muniment command line"


@dataclass(frozen=True, slots=True)
class Account:
    """Who acts where: the user `user_name` of the tenant `tenant` (its slug), by a password in a file.

    The platform is at `origin`, or else what runs on `data`; `ca` are certificates that https is trusted by.
    """

    tenant: str
    user_name: str
    password: Path
    data: Path
    origin: str | None = None
    ca: Path | None = None


class Door:
    """The platform as one signed-in person sees it."""

    def __init__(self, api: Api, session: Session) -> None:
        """Call by `api` with the tokens of `session`."""
        self._api = api
        self._session = session

    async def call(self, method: str, path: str, answer: type[T], **more: Any) -> T:
        """Return the answer to a call as `answer`. Raises ClientError."""
        return await self._api.call(method, path, answer, token=await self._session.access_token(), **more)

    async def save(self, path: str, to: Path) -> None:
        """Keep what lies at a path in the file `to`, whole or not at all. Raises ClientError and OSError."""
        part = to.with_name(f"{to.name}.part")
        try:
            with part.open("wb") as file:
                async for piece in self._api.pieces(path, token=await self._session.access_token()):
                    file.write(piece)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    async def leave(self) -> None:
        """End the session."""
        await self._session.sign_out()


@asynccontextmanager
async def signed_in(account: Account) -> AsyncIterator[Door]:
    """Give a session of the account, which ends with the block.

    Raises RunnerError with one sentence for whatever the platform refuses, within the block too.
    """
    origin, root = _platform_of(account)
    try:
        verify = True if root is None else ssl.create_default_context(cafile=root)
        password = account.password.read_text(encoding="utf-8").strip()
        async with httpx.AsyncClient(verify=verify, trust_env=False) as http:
            session = Session(api := Api(origin, http), SystemClock())
            await session.sign_in(account.tenant, account.user_name, password, DEVICE_NAME)
            door = Door(api, session)
            try:
                yield door
            finally:
                await _left(door)
    except ClientError as refused:
        raise RunnerError(str(refused)) from refused
    except OSError as error:
        raise RunnerError(f"{error.filename or origin}: {error.strerror or error}") from error


async def _left(door: Door) -> None:
    """End the session where that is still possible; what failed before is what is told."""
    try:
        await door.leave()
    except ClientError:
        return


def _platform_of(account: Account) -> tuple[str, Path | None]:
    if account.origin is not None:
        return account.origin, account.ca
    facts = read_facts(account.data)
    root = facts["tls_root"]
    return facts["origin"], account.ca or (None if root is None else Path(root))
