"""A tenant to measure retention and eDiscovery on: with its officers, a corpus imported by four eyes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from uuid import UUID

import httpx

from libs.client.errors import ClientError
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from services.runner.demo.indexed import index_of, settled_index
from services.runner.demo.officials import (
    OFFICER,
    OFFICIALS,
    PATIENCE_SECONDS,
    Answer,
    Official,
    Officials,
    in_office,
)
from services.runner.demo.people import Tenant, make_tenant, provision
from services.runner.errors import RunnerError
from services.runner.peers import Operator

_POLL_SECONDS: Final = 0.05


class Office(NamedTuple):
    """A tenant of a running deployment, and the two who answer for what it keeps; `officer` is one's id."""

    facts: Mapping[str, Any]
    tenant: Tenant
    officials: Officials
    officer: UUID


@asynccontextmanager
async def office_of(facts: Mapping[str, Any]) -> AsyncIterator[Office]:
    """Make a tenant with its officials. Raises RunnerError for whatever the platform refuses them."""
    operator = Operator(facts)
    ids = SystemIds(SystemClock(), SystemRandomness())
    tenant = make_tenant(operator, f"bench-{ids.uuid7().hex[-12:]}", "Measurement")
    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as http:
        staff = await provision(http, facts["origin"], tenant, list(OFFICIALS), lambda _: None)
    try:
        async with in_office(operator, facts["origin"], tenant, staff) as officials:
            yield Office(facts, tenant, officials, staff[list(OFFICIALS).index(OFFICER)])
    except ClientError as refused:
        raise RunnerError(f"the measurement cannot go on: {refused}") from refused


async def until_indexed(office: Office, messages: int) -> None:
    """Wait until the index holds so many messages. Raises RunnerError when it does not come to that."""
    found = await settled_index(index_of(office.facts), office.tenant.tenant, messages)
    if found != messages:
        raise RunnerError(f"{messages} messages were imported, and {found} are in the index")


async def soon(
    official: Official,
    path: str,
    is_so: Callable[[Answer], bool],
    what: str,
    patience: float = PATIENCE_SECONDS,
) -> Answer:
    """Return what is there as soon as it `is_so`: no pause grows, for it would be measured.

    Raises RunnerError, with `what`, when it never is.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while not is_so(shown := await official.get(path)):
        if clock() > deadline:
            raise RunnerError(f"{what} within {patience:.0f} seconds")
        await asyncio.sleep(_POLL_SECONDS)
    return shown
