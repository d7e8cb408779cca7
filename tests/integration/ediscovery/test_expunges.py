"""Words vanish behind the barrier of holds, and it is told once whose words are gone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from libs.barrier.door import hold_door
from libs.contracts.events import decode, encode
from libs.contracts.facts import EdiscoveryFact
from libs.contracts.holds import EdiscoveryGenerationConfirmed, HoldPlaced
from libs.contracts.retention import ItemsExpunged
from libs.db.pool import CrossingDatabase
from libs.events.acts import count_acts
from libs.events.records import StreamRecord, partition_of
from libs.kernel.clock import ManualClock
from libs.kernel.ids import SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from services.ediscovery.adapters.tantivy import TantivyIndex
from services.ediscovery.domain.documents import Change, Cursor, DocumentKey, Removal
from services.ediscovery.domain.errors import ExpungesStopped, ExpungeUnfinished
from services.ediscovery.ports.expunges import Destruction
from services.ediscovery.ports.index import SearchIndex
from services.ediscovery.store.acts import ACTS
from services.ediscovery.store.expunges import PostgresDueExpunges, PostgresExpunges
from services.ediscovery.usecases.expunge import ExpungeDestroyed, Settling
from tests.contract.search.reference import Log
from tests.contract.search.town import puts, said
from tests.support.engines import ServiceDatabase

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
STREAM = "messaging/7"
SECRET, OTHER, GHOST = said(1, "canaryword"), said(2, "other"), said(3, "never indexed")


@dataclass
class Desk:
    """The database of eDiscovery and an index, in which a secret was found before it was destroyed."""

    projecting: CrossingDatabase
    publishing: CrossingDatabase
    admin: psycopg.AsyncConnection
    index: TantivyIndex
    tenant: TenantId
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))

    def __post_init__(self) -> None:
        self.ids = SystemIds(self.clock, SystemRandomness())
        self.door = hold_door("ediscovery", EdiscoveryGenerationConfirmed, self.clock, self.ids)

    def expunge(self, index: SearchIndex | None = None) -> ExpungeDestroyed:
        rows = PostgresExpunges(self.projecting, self.clock, self.ids)
        return ExpungeDestroyed(index or self.index, rows, self.clock, self.ids, Settling(most_rounds=0))

    async def destroyed(self, order: UUID, *keys: DocumentKey, generation: int = 0) -> None:
        """Take in that messaging destroyed something."""
        removals: list[Change] = [Removal(3, key) for key in keys]
        await self.index.apply(self.tenant, removals, Cursor(STREAM, 3))
        async with self.projecting.begin() as tx:
            await PostgresDueExpunges(tx).add(self.tenant, Destruction(order, generation), keys)

    async def take_in(self, generation: int) -> None:
        """Take in a hold, as the projector of holds does."""
        event = HoldPlaced(hold=uuid4(), generation=generation)
        body = encode(event, id=uuid4(), time=NOON, tenant=self.tenant)
        record = StreamRecord(partition_of(self.tenant), generation, self.tenant, event.name, body)
        async with self.projecting.begin() as tx:
            await self.door(tx, [record])

    async def told(self) -> list[object]:
        """Return the events of the outbox, in order."""
        rows = await self.admin.execute("SELECT body FROM ediscovery.outbox ORDER BY part, position")
        return [decode(body)[1] for (body,) in await rows.fetchall()]

    async def expunged(self) -> dict[UUID, int]:
        """Return how many items of each order were told of."""
        counted: dict[UUID, int] = {}
        for event in await self.told():
            if isinstance(event, ItemsExpunged):
                counted[event.order] = counted.get(event.order, 0) + event.items
        return counted


@pytest.fixture
async def desk(database_of: Callable[[str], ServiceDatabase], tmp_path: Path) -> AsyncIterator[Desk]:
    database, log, tenant = database_of("ediscovery"), Log(), TenantId(uuid4())
    log.keep(tenant, [OTHER])
    index = TantivyIndex(tmp_path / "search", log)
    await index.apply(tenant, puts([SECRET, OTHER]), Cursor(STREAM, 2))
    async with AsyncExitStack() as stack:
        projecting, publishing = (
            CrossingDatabase(database.dsn(f"ediscovery_{role}"), role) for role in ("projector", "publisher")
        )
        for pool in (projecting, publishing):
            await pool.open()
            stack.push_async_callback(pool.close)
        admin = await stack.enter_async_context(
            await psycopg.AsyncConnection.connect(database.admin_dsn.reveal(), autocommit=True)
        )
        yield Desk(projecting, publishing, admin, index, tenant)


async def test_each_item_is_told_of_once_with_its_order_whether_it_was_indexed_or_not(desk: Desk) -> None:
    first, second = uuid4(), uuid4()
    await desk.destroyed(first, SECRET.key, GHOST.key)
    await desk.destroyed(first, SECRET.key)
    await desk.destroyed(second, said(4, "gone as well").key)
    await desk.expunge()()
    await desk.expunge()()
    assert await desk.index.terms(desk.tenant) == {"other"}
    assert await desk.expunged() == {first: 2, second: 1}
    facts = [event for event in await desk.told() if isinstance(event, EdiscoveryFact)]
    assert sorted(fact.entities[0].id for fact in facts) == sorted(map(str, (first, second)))
    acts = await count_acts(desk.publishing, "ediscovery", ACTS)
    assert {each.action: each.count for each in acts.acts} == {"ediscovery.items.expunged": len(facts)}


@pytest.mark.planted
async def test_words_that_are_only_marked_as_deleted_are_told_of_by_nobody(desk: Desk) -> None:
    async def only_deletes(*_: object) -> None:
        pass

    order = uuid4()
    await desk.destroyed(order, SECRET.key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk.index, "_rewrite", only_deletes)
        with pytest.raises(ExpungeUnfinished):
            await desk.expunge()()
    assert "canaryword" in await desk.index.terms(desk.tenant)
    assert await desk.expunged() == {}
    await desk.expunge()()
    assert await desk.expunged() == {order: 1}


@dataclass
class Slow:
    """An index whose expunge takes until it is let go on."""

    index: SearchIndex
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __getattr__(self, name: str) -> object:
        return getattr(self.index, name)

    async def expunge(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        self.begun.set()
        await self.goes_on.wait()
        await self.index.expunge(tenant, keys)


@dataclass
class SlowPart(Slow):
    """An index of which a part takes so long."""

    async def purge(self, tenant: TenantId, part: str) -> None:
        self.begun.set()
        await self.goes_on.wait()
        await self.index.purge(tenant, part)

    async def expunge(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        await self.index.expunge(tenant, keys)


async def test_a_hold_is_not_confirmed_before_words_that_vanish_are_gone(desk: Desk) -> None:
    await desk.destroyed(uuid4(), SECRET.key)
    slow = Slow(desk.index)
    vanishing = asyncio.create_task(desk.expunge(slow)())  # type: ignore[arg-type] # the rest is the index's
    await slow.begun.wait()
    hold = asyncio.create_task(desk.take_in(1))
    done, _ = await asyncio.wait([hold], timeout=0.5)
    assert not done
    slow.goes_on.set()
    await asyncio.gather(vanishing, hold)
    names = [type(event) for event in await desk.told()]
    assert names.index(ItemsExpunged) < names.index(EdiscoveryGenerationConfirmed)


async def test_a_hold_waits_for_the_part_that_is_purged_and_for_no_more(desk: Desk) -> None:
    order = uuid4()
    await desk.destroyed(order, SECRET.key)
    slow = SlowPart(desk.index)
    vanishing = asyncio.create_task(desk.expunge(slow)())  # type: ignore[arg-type] # the rest is the index's
    await slow.begun.wait()
    hold = asyncio.create_task(desk.take_in(1))
    done, _ = await asyncio.wait([hold], timeout=0.5)
    assert not done
    slow.goes_on.set()
    await asyncio.gather(vanishing, hold)
    assert await desk.index.terms(desk.tenant) == {"other"}
    assert await desk.expunged() == {order: 1}


async def test_no_part_is_purged_of_what_is_not_due_yet(desk: Desk) -> None:
    await desk.destroyed(uuid4(), SECRET.key, generation=1)
    await desk.expunge()()
    assert "canaryword" in await desk.index.terms(desk.tenant)


async def test_words_whose_order_knows_of_a_hold_that_has_not_arrived_wait_for_it(desk: Desk) -> None:
    order = uuid4()
    await desk.destroyed(order, SECRET.key, generation=1)
    await desk.expunge()()
    assert await desk.expunged() == {}
    await desk.take_in(1)
    await desk.expunge()()
    assert await desk.expunged() == {order: 1}


async def test_what_was_destroyed_before_a_hold_came_vanishes_all_the_same(desk: Desk) -> None:
    order = uuid4()
    await desk.destroyed(order, SECRET.key, generation=1)
    for generation in (1, 2):
        await desk.take_in(generation)
    await desk.expunge()()
    assert await desk.expunged() == {order: 1}


async def test_no_word_vanishes_while_a_change_of_holds_is_parked(desk: Desk) -> None:
    await desk.destroyed(uuid4(), SECRET.key)
    parked = """
        INSERT INTO ediscovery.parked (tenant, consumer, source, part, position, name, body, reason)
        VALUES (%s, 'ediscovery', %s, 1, 1, 'n', '', 'r')"""
    await desk.admin.execute(parked, (desk.tenant, "messaging"))
    await desk.admin.execute(parked, (desk.tenant, "holds"))
    with pytest.raises(ExpungesStopped):
        await desk.expunge()()
    await desk.admin.execute("DELETE FROM ediscovery.parked WHERE source = 'holds'")
    await desk.expunge()()
    assert len(await desk.expunged()) == 1
