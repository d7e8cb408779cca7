"""An index that was lost is noticed, and made anew from the log: nothing lacks, nothing comes back."""

import shutil
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from libs.contracts.events import decode
from libs.contracts.facts import EdiscoveryFact
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.events.acts import count_acts
from libs.kernel.clock import ManualClock
from libs.kernel.ids import ConversationId, MessageId, PrincipalId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from services.ediscovery.adapters.tantivy import TantivyIndex
from services.ediscovery.domain.documents import Document, DocumentKey
from services.ediscovery.domain.errors import (
    CorrespondenceUnavailable,
    ExpungeUnfinished,
    IndexRebuilding,
    IndexUnavailable,
)
from services.ediscovery.domain.query import Scope, Term
from services.ediscovery.domain.texts import Purpose, Text
from services.ediscovery.ports.rebuilds import LogPage
from services.ediscovery.store.acts import ACTS
from services.ediscovery.store.rebuilds import PostgresNotes, PostgresNotesUnderWay, PostgresRebuilds
from services.ediscovery.usecases import rebuild as rebuilding
from services.ediscovery.usecases.current import CurrentIndex, Generations
from services.ediscovery.usecases.index import Committed, IndexMessages
from services.ediscovery.usecases.rebuild import NoticeLostIndexes, OrderRebuilds, RebuildIndexes
from tests.contract.search.reference import Log
from tests.support.engines import ServiceDatabase

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ADA = PrincipalId(uuid4())
ROOMS = [ConversationId(uuid4()) for _ in range(3)]
EVERYTHING = Scope()


@dataclass
class Talk(Log):
    """The log of one tenant, in memory: its bodies can be destroyed, its entries stay."""

    tenant: TenantId
    texts_of: dict[DocumentKey, str] = field(default_factory=dict)
    last: dict[ConversationId, int] = field(default_factory=dict)
    trouble: Callable[[], None] = lambda: None

    def say(self, room: ConversationId, text: str) -> DocumentKey:
        self.last[room] = self.last.get(room, 0) + 1
        key = DocumentKey(room, self.last[room])
        self.texts_of[key] = text
        return key

    async def texts(self, tenant: TenantId, keys: Collection[DocumentKey], purpose: Purpose) -> list[Text]:
        self.trouble()
        return [
            Text(
                key,
                MessageId(uuid4()),
                NOON - timedelta(days=40 * (key.seq % 2)),
                ADA,
                frozenset({ADA}),
                self.texts_of[key],
            )
            for key in sorted(keys)
            if key in self.texts_of
        ]

    async def versions(
        self, tenant: TenantId, amendments: Collection[DocumentKey]
    ) -> dict[DocumentKey, tuple[DocumentKey, ...]]:
        return {}

    async def documents(self, tenant: TenantId, keys: Collection[DocumentKey]) -> AsyncIterator[Document]:
        for text in await self.texts(tenant, keys, Purpose("index", "index")):
            yield text.document

    async def page(
        self, tenant: TenantId, conversation: ConversationId | None, seq: int, limit: int
    ) -> LogPage:
        every = [
            DocumentKey(room, number)
            for room in sorted(self.last)
            for number in range(1, self.last[room] + 1)
        ]
        behind = [key for key in every if conversation is None or key > DocumentKey(conversation, seq)]
        return LogPage(behind[:limit], len(every))


class Bench:
    """eDiscovery's indexer on its real database and real files, moved by hand."""

    def __init__(
        self, folder: Path, app: TenantDatabase, projecting: CrossingDatabase, publishing: CrossingDatabase
    ) -> None:
        self.folder, self.projecting, self.publishing = folder, projecting, publishing
        self.clock = ManualClock(NOON)
        self.ids = SystemIds(self.clock, SystemRandomness())
        self.tenant = TenantId(uuid4())
        self.talk = Talk(self.tenant)
        self.position = 0
        self.lost: list[TenantId] = []
        self.admin: psycopg.AsyncConnection
        self.start(app)

    def start(self, app: TenantDatabase, former: Sequence[Generations] = ()) -> None:
        """Start anew, with what lies on disk and in the database alone."""
        self.app, folder = app, self.folder
        self.notes = PostgresNotes(app)
        self.generations = cache(
            lambda number: TantivyIndex(folder / f"g{number}" if number else folder, self.talk)
        )
        self.rebuilds = PostgresRebuilds(self.projecting, self.clock, self.ids)
        self.index = CurrentIndex(self.generations, self.notes)
        self.notice = NoticeLostIndexes(
            self.generations, self.rebuilds, self.notes, self, self.clock, self.ids
        )
        self.rebuild = RebuildIndexes(
            self.generations, self.rebuilds, self.talk, self.talk, self.clock, self.ids, former
        )

    def is_lost(self, tenant: TenantId) -> None:
        self.lost.append(tenant)

    async def take_in(self, *keys: DocumentKey, gone: tuple[DocumentKey, ...] = ()) -> None:
        """Take in an event, as the projector does."""
        self.position += 1
        event = Committed(self.tenant, "messaging/7", self.position, keys, gone)
        async with self.projecting.begin() as tx:
            index = IndexMessages(self.generations, self.talk, self.clock)
            await index([event], PostgresNotesUnderWay(tx))

    async def say(self, room: ConversationId, text: str) -> DocumentKey:
        await self.take_in(key := self.talk.say(room, text))
        return key

    async def destroy(self, key: DocumentKey) -> None:
        del self.talk.texts_of[key]
        await self.take_in(gone=(key,))

    async def found(self, word: str) -> list[DocumentKey]:
        hits = await self.index.search(self.tenant, Term(word), EVERYTHING, 100)
        return sorted(hit.key for hit in hits)

    async def make_whole(self) -> None:
        await self.notice()
        await self.rebuild()

    async def generation(self) -> int:
        return (await self.notes.noted(self.tenant)).generation


@pytest.fixture
async def bench(database_of: Callable[[str], ServiceDatabase], tmp_path: Path) -> AsyncIterator[Bench]:
    database = database_of("ediscovery")
    async with AsyncExitStack() as stack:
        app = TenantDatabase(database.dsn("ediscovery_app"), "app")
        projecting, publishing = (
            CrossingDatabase(database.dsn(f"ediscovery_{role}"), role) for role in ("projector", "publisher")
        )
        await app.open()
        stack.push_async_callback(app.close)
        for pool in (projecting, publishing):
            await pool.open()
            stack.push_async_callback(pool.close)
        opened = Bench(tmp_path / "search", app, projecting, publishing)
        opened.admin = await stack.enter_async_context(
            await psycopg.AsyncConnection.connect(database.admin_dsn.reveal(), autocommit=True)
        )
        yield opened


def lose_all(bench: Bench) -> None:
    shutil.rmtree(bench.folder)


def lose_cursors(bench: Bench) -> None:
    for path in (bench.folder / str(bench.tenant)).glob("cursors.*"):
        path.unlink()


def lose_a_month(bench: Bench) -> None:
    for path in (bench.folder / str(bench.tenant)).glob("2026-11.*"):
        shutil.rmtree(path)


def damage_a_month(bench: Bench) -> None:
    for path in (bench.folder / str(bench.tenant)).glob("2026-11.*"):
        (path / "meta.json").write_bytes(b"{")


@pytest.mark.parametrize("harm", [lose_all, lose_cursors, lose_a_month])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_lost_index_says_so_and_comes_back_whole(
    bench: Bench, harm: Callable[[Bench], None], *, restarted: bool
) -> None:
    said = [await bench.say(room, "zebra") for room in ROOMS for _ in range(3)]
    harm(bench)
    if restarted:
        bench.start(bench.app)
    with pytest.raises(IndexRebuilding):
        await bench.found("zebra")
    late = await bench.say(ROOMS[0], "zebra")
    with pytest.raises(IndexRebuilding):
        await bench.found("zebra")
    await bench.make_whole()
    assert await bench.found("zebra") == sorted([*said, late])
    assert await bench.generation() == 1
    assert bench.lost == [bench.tenant]
    after = await bench.say(ROOMS[1], "zebra")
    assert await bench.found("zebra") == sorted([*said, late, after])
    await bench.make_whole()
    assert await bench.generation() == 1
    assert not (bench.folder / str(bench.tenant)).exists()


async def test_files_that_the_engine_cannot_read_are_a_lost_index(bench: Bench) -> None:
    said = [await bench.say(ROOMS[0], "zebra") for _ in range(3)]
    damage_a_month(bench)
    bench.start(bench.app)
    with pytest.raises(IndexRebuilding):
        await bench.found("zebra")
    await bench.make_whole()
    assert await bench.found("zebra") == said


async def test_who_takes_another_engine_has_it_made_anew_there_and_no_word_stays_in_the_old_one(
    bench: Bench, tmp_path: Path
) -> None:
    said = [await bench.say(ROOMS[0], "zebra") for _ in range(3)]
    former, words = bench.generations, bench.folder / str(bench.tenant)
    bench.folder = tmp_path / "another engine"
    bench.start(bench.app, [former])
    for _ in range(2):
        with pytest.raises(IndexRebuilding):
            await bench.found("zebra")
        with pytest.raises(IndexRebuilding):
            await bench.index.expunge(bench.tenant, said[:1])
    await bench.make_whole()
    assert await bench.found("zebra") == said
    assert any(words.iterdir())
    with pytest.raises(ExpungeUnfinished):  # for they lie there still
        await bench.index.expunge(bench.tenant, said[:1])
    await bench.rebuild()
    assert not words.exists()
    await bench.index.expunge(bench.tenant, said[:1])


async def test_while_the_engine_of_before_is_away_no_word_is_confirmed_to_be_gone(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [await bench.say(ROOMS[0], "zebra") for _ in range(3)]
    former = bench.generations

    async def is_away(_tenant: TenantId) -> None:
        raise IndexUnavailable("ConnectionError")

    bench.folder = tmp_path / "another engine"
    bench.start(bench.app, [former])
    await bench.make_whole()
    with monkeypatch.context() as away:
        away.setattr(former(0), "drop", is_away)
        for _ in range(2):
            with pytest.raises(IndexUnavailable):
                await bench.rebuild()
            with pytest.raises(ExpungeUnfinished):
                await bench.index.expunge(bench.tenant, said[:1])
    assert await bench.found("zebra") == said
    await bench.rebuild()
    await bench.index.expunge(bench.tenant, said[:1])


@pytest.mark.planted
async def test_an_index_of_which_nothing_is_noted_is_seen_to_answer_with_fewer_hits(bench: Bench) -> None:
    await bench.say(ROOMS[0], "zebra")
    lose_all(bench)
    await bench.admin.execute("DELETE FROM ediscovery.index_followed")
    await bench.admin.execute("UPDATE ediscovery.index_note SET periods = '{}'")
    assert await bench.found("zebra") == []


async def test_what_is_destroyed_while_an_index_is_made_anew_is_in_no_word_of_the_new_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "MOST_AT_A_TIME", 2)
    said = [await bench.say(room, f"zebra secret{number}") for number, room in enumerate(ROOMS)]
    await OrderRebuilds(bench.rebuilds, bench.clock, bench.ids)([bench.tenant])
    (under_way,) = await bench.rebuilds.under_way()
    first = await bench.rebuild.step(under_way)
    assert first is not None
    assert (first.done, first.entries) == (2, 3)
    secret = said[[key.conversation for key in said].index(min(ROOMS))]
    word = bench.talk.texts_of[secret].split()[1]
    new = bench.generations(1)
    assert word in await new.terms(bench.tenant)
    await bench.destroy(secret)
    later = await bench.say(ROOMS[1], "zebra later")
    left = sorted([*(key for key in said if key != secret), later])
    assert await bench.found("zebra") == left  # by the old one
    with pytest.raises(ExpungeUnfinished):
        await bench.index.expunge(bench.tenant, [secret])
    await bench.make_whole()
    assert await bench.generation() == 1
    assert await bench.found("zebra") == left
    assert word not in await new.terms(bench.tenant)
    await bench.rebuild()  # which takes the old one away
    await bench.index.expunge(bench.tenant, [secret])


@pytest.mark.planted
async def test_a_rebuild_that_forgets_what_was_told_meanwhile_is_seen_to_bring_words_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgets(*_: object) -> None:
        pass

    monkeypatch.setattr(RebuildIndexes, "_again", forgets)
    secret = await bench.say(ROOMS[0], "zebra")
    await OrderRebuilds(bench.rebuilds, bench.clock, bench.ids)([bench.tenant])
    (under_way,) = await bench.rebuilds.under_way()
    await bench.rebuild.step(under_way)
    await bench.destroy(secret)
    await bench.rebuild()
    assert await bench.found("zebra") == [secret]


async def test_a_rebuild_that_was_cut_off_goes_on_and_one_that_was_lost_in_turn_begins_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "MOST_AT_A_TIME", 2)
    said = sorted([await bench.say(room, "zebra") for room in ROOMS for _ in range(2)])
    await OrderRebuilds(bench.rebuilds, bench.clock, bench.ids)([bench.tenant])
    calls = 0

    def away() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise CorrespondenceUnavailable

    bench.talk.trouble = away
    with pytest.raises(CorrespondenceUnavailable):
        await bench.rebuild()
    (under_way,) = await bench.rebuilds.under_way()
    assert under_way.done == 2
    bench.start(bench.app)
    shutil.rmtree(bench.folder / "g1")
    step = await bench.rebuild.step(under_way)
    assert step is not None
    assert step.done == 0
    await bench.rebuild()
    assert await bench.generation() == 1
    assert await bench.found("zebra") == said


async def test_each_rebuild_is_an_act_at_its_beginning_and_at_its_end(bench: Bench) -> None:
    await bench.say(ROOMS[0], "zebra")
    order = OrderRebuilds(bench.rebuilds, bench.clock, bench.ids)
    (first,) = await order([bench.tenant])
    (again,) = await order([bench.tenant])
    assert again.act == first.act
    await bench.make_whole()
    (ended,) = await order.progress([bench.tenant])
    assert (ended.act, ended.ended_at, ended.done) == (first.act, NOON, 1)
    rows = await bench.admin.execute("SELECT body FROM ediscovery.outbox ORDER BY part, position")
    facts = [decode(body)[1] for (body,) in await rows.fetchall()]
    told = [(fact.action, fact.actor.kind) for fact in facts if isinstance(fact, EdiscoveryFact)]
    assert told == [
        ("ediscovery.index.rebuild-begun", "operator"),
        ("ediscovery.index.rebuilt", "service"),
    ]
    acts = await count_acts(bench.publishing, "ediscovery", ACTS)
    assert {each.action: each.count for each in acts.acts} == {name: 1 for name, _ in told}
