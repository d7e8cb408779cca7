"""People, a directory and an operator at work until they are told to stop, whatever is killed meanwhile.

What of it was done nobody here remembers: an act whose answer was lost may have happened or not. The rows
that it left tell.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx

from libs.client.errors import ClientError
from services.runner.demo.people import provision, sign_in_codes
from services.runner.demo.script import person_of
from services.runner.errors import RunnerError
from tests.faults.load import Load

CODES_A_CALL: Final = 10
PAUSE_SECONDS: Final = 0.02
LOST: Final = (RunnerError, ClientError, httpx.HTTPError, LookupError)
"""What an actor hears of a service that was killed: it goes on with the next act."""


@asynccontextmanager
async def busy(load: Load) -> AsyncIterator[None]:
    """Let all work until the end of the context: acts of messaging, identity and keys."""
    over = asyncio.Event()
    newcomers = iter(range(1000, 1_000_000))

    async def provisions() -> None:
        town = load.town
        people = [person_of(next(newcomers)) for _ in range(4)]
        await provision(town.http, load.platform.origin, load.town.tenant, people, lambda _: None)

    async def issues_codes() -> None:
        wanted = [load.town.principals[0]] * CODES_A_CALL
        await asyncio.to_thread(sign_in_codes, load.platform.operator, load.town.tenant, wanted)

    async def begins_a_conversation() -> None:
        begun = await load.clients[0].create_conversation("group", load.town.principals[1:])
        await load.clients[0].post(begun.conversation, "the first that needs its key")

    async with load.talking():
        working = [
            asyncio.create_task(_again_and_again(act, over))
            for act in (provisions, issues_codes, begins_a_conversation)
        ]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*working)


async def _again_and_again(act: Callable[[], Awaitable[None]], over: asyncio.Event) -> None:
    while not over.is_set():
        with contextlib.suppress(*LOST):
            await act()
        await asyncio.sleep(PAUSE_SECONDS)
