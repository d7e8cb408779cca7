"""Destroyers that decide by the holds they see race with holds that arrive: what is held stays."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import pytest

from libs.barrier.errors import GenerationPassed, GenerationUnknown
from libs.barrier.generation import generation_of, share_generation
from libs.barrier.held import holds_of
from libs.contracts.holds import HoldPlaced
from libs.db.pool import Transaction
from libs.disposition.claims import Hold, Item, covers
from libs.kernel.ids import TenantId
from tests.contract.barrier.executors import EXECUTORS, NOW, Executor, executor_of
from tests.support.engines import ServiceDatabase

TENANT = TenantId(uuid4())
ITEMS: Final = 400
PEOPLE: Final = 8
HOLDS: Final = 6
DESTROYERS: Final = 3
DAYS: Final = 30

Pass = Callable[[Transaction, str, TenantId, int], Awaitable[None]]
"""How a destroyer passes the barrier."""


@dataclass
class Store:
    """Items of one tenant in an executor's database, which destroyers take out one by one."""

    executor: Executor
    chance: random.Random
    items: dict[UUID, Item] = field(default_factory=dict)
    people: list[UUID] = field(default_factory=lambda: [uuid4() for _ in range(PEOPLE)])

    async def fill(self) -> None:
        """Make items of random senders, conversations and days."""
        conversations = [uuid4() for _ in range(PEOPLE)]
        for _ in range(ITEMS):
            sent_at = NOW - timedelta(days=self.chance.randrange(DAYS))
            sender = self.chance.choice(self.people)
            audience = frozenset(self.chance.sample(self.people, 2))
            self.items[uuid4()] = Item(self.chance.choice(conversations), "group", sent_at, sender, audience)
        await self.executor.admin.execute("CREATE TABLE public.item (item uuid PRIMARY KEY)")
        await self.executor.admin.execute("GRANT SELECT, DELETE ON public.item TO PUBLIC")
        await self.executor.admin.execute(
            "INSERT INTO public.item SELECT unnest(%s::uuid[])", (list(self.items),)
        )

    async def left(self) -> set[UUID]:
        cursor = await self.executor.admin.execute("SELECT item FROM public.item")
        return {item for (item,) in await cursor.fetchall()}

    async def destroy(self, passes: Pass, until: asyncio.Event) -> None:
        """Order and destroy until told to end: each time what no hold covers, by the holds of the order."""
        schema = self.executor.schema
        while not until.is_set():
            async with self.executor.destroying.begin(TENANT) as tx:
                ordered = await generation_of(tx, schema, TENANT)
                holds = await holds_of(tx, schema, TENANT)
            victims = [item for item in self.chance.sample(sorted(self.items), 20) if self._free(item, holds)]
            await asyncio.sleep(self.chance.random() / 200)
            try:
                async with self.executor.destroying.begin(TENANT) as tx:
                    await passes(tx, schema, TENANT, ordered)
                    await asyncio.sleep(self.chance.random() / 200)
                    await tx.execute("DELETE FROM public.item WHERE item = ANY (%s::uuid[])", (victims[:2],))
            except (GenerationPassed, GenerationUnknown):
                continue

    def _free(self, item: UUID, holds: list[Hold]) -> bool:
        return not any(covers(hold, self.items[item]) for hold in holds)

    def held_by(self, placed: HoldPlaced) -> set[UUID]:
        """Return the items that a hold covers."""
        hold = Hold(
            placed.hold,
            frozenset(placed.custodians),
            frozenset(placed.conversations),
            placed.since,
            placed.until,
        )
        return {name for name, item in self.items.items() if covers(hold, item)}


async def lost_under_hold(executor: Executor, seed: int, passes: Pass = share_generation) -> set[UUID]:
    """Return what was destroyed although a hold that was confirmed before covers it: the judge."""
    store = Store(executor, random.Random(seed))
    await store.fill()
    ends = asyncio.Event()
    destroyers = [asyncio.create_task(store.destroy(passes, ends)) for _ in range(DESTROYERS)]
    preserved: set[UUID] = set()
    for generation in range(1, HOLDS + 1):
        await asyncio.sleep(0.05)
        since = NOW - timedelta(days=store.chance.randrange(DAYS))
        custodian = store.people[generation - 1]
        placed = HoldPlaced(hold=uuid4(), generation=generation, custodians=(custodian,), since=since)
        await executor.take_in(executor.record(TENANT, placed))
        preserved |= store.held_by(placed) & await store.left()
    await asyncio.sleep(0.1)
    ends.set()
    await asyncio.gather(*destroyers)
    left = await store.left()
    assert len(left) < ITEMS  # something was destroyed, so that there was a race
    return preserved - left


@pytest.fixture(params=sorted(EXECUTORS))
async def executor(
    request: pytest.FixtureRequest, database_of: Callable[[str], ServiceDatabase]
) -> AsyncIterator[Executor]:
    async with executor_of(request.param, database_of(request.param)) as opened:
        yield opened


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_a_confirmed_hold_covers_is_never_destroyed(executor: Executor, seed: int) -> None:
    assert await lost_under_hold(executor, seed) == set()


@pytest.mark.planted
async def test_destroyers_that_do_not_share_the_generation_are_seen_to_destroy_what_is_held(
    executor: Executor,
) -> None:
    async def ask_nothing(_tx: Transaction, _schema: str, _tenant: TenantId, _ordered: int) -> None:
        """Destroy by the holds that were known when the order was made, while others come."""
        await asyncio.sleep(0.05)

    assert await lost_under_hold(executor, 3, ask_nothing)
