"""Who answers for what is kept: a compliance officer and legal counsel, signed in with their roles alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final
from uuid import UUID

import httpx

from libs.client.api import Api
from libs.client.session import Session
from libs.kernel.clock import SystemClock
from services.runner.account import Door
from services.runner.demo.people import Tenant, sign_in_codes
from services.runner.demo.script import Person
from services.runner.errors import RunnerError
from services.runner.peers import Operator

OFFICER: Final = Person("cora.compliance", "Cora Compliance")
COUNSEL: Final = Person("lea.counsel", "Lea Counsel")
OFFICIALS: Final = {OFFICER: "compliance_officer", COUNSEL: "legal_counsel"}
HTTP_SECONDS: Final = 120.0
PATIENCE_SECONDS: Final = 600.0
"""How long a service may take to what it was ordered."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0

Answer = dict[str, Any]


class Official:
    """One of them, as the platform sees him."""

    def __init__(self, door: Door) -> None:
        """Act through `door`."""
        self.door = door

    async def get(self, path: str) -> Answer:
        """Return what is there. Raises ClientError."""
        return await self.door.call("GET", path, Answer)

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Return the answer to a body. Raises ClientError."""
        return await self.door.call("POST", path, Answer, body=body)

    async def approve(self, service: str, request: Mapping[str, Any]) -> Answer:
        """Approve what somebody else requested, by the digest that is shown. Raises ClientError."""
        path = f"/{service}/v1/approvals/{request['request']}"
        return await self.post(path, {"approves": True, "digest": request["digest"]})

    async def until(self, path: str, is_so: Callable[[Answer], bool], what: str) -> Answer:
        """Return what is there once it `is_so`. Raises RunnerError, with `what`, when it never is."""
        clock = asyncio.get_running_loop().time
        deadline, pause = clock() + PATIENCE_SECONDS, _SHORTEST_PAUSE
        while not is_so(shown := await self.get(path)):
            if clock() > deadline:
                raise RunnerError(f"{what} within {PATIENCE_SECONDS:.0f} seconds")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return shown


class Officials:
    """The two of them."""

    def __init__(self, officer: Official, counsel: Official) -> None:
        """Keep the compliance officer and legal counsel."""
        self.officer = officer
        self.counsel = counsel


@asynccontextmanager
async def in_office(
    operator: Operator, origin: str, tenant: Tenant, principals: Sequence[UUID]
) -> AsyncIterator[Officials]:
    """Give the people of OFFICIALS, who are `principals` in the directory, their roles and sessions.

    Raises RunnerError, and a ClientError when they cannot sign in.
    """
    place = f"/internal/tenants/{tenant.tenant}/roles"
    for principal, role in zip(principals, OFFICIALS.values(), strict=True):
        await asyncio.to_thread(operator.call, "POST", place, {"principal": str(principal), "role": role})
    codes = await asyncio.to_thread(sign_in_codes, operator, tenant, principals)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=HTTP_SECONDS, trust_env=False))
        doors = []
        for code in codes:
            session = Session(api := Api(origin, http), SystemClock())
            await session.sign_in_with_code(code, device_name="office")
            doors.append(Official(Door(api, session)))
        yield Officials(*doors)
