"""A production comes out the same wherever it was killed, and is told of once; one id asks for one."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
import pytest

from libs.authz.authorizer import Authorizer
from libs.contracts.events import decode
from libs.contracts.facts import EdiscoveryFact
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.evidence.bundle import Commit
from libs.evidence.entry import body_commitment, metadata_commitment
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.lines import EntryLine, parse_line
from libs.evidence.production.manifest import Bates, Format
from libs.evidence.production.zipped import zip_pieces
from libs.evidence.verify import verify_path
from libs.kernel.actors import Actor
from libs.kernel.clock import ManualClock
from libs.kernel.denials import Denials
from libs.kernel.ids import PrincipalId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from libs.merkle.tree import inclusion_proof
from services.ediscovery.adapters.workshop import FolderBench, FolderWorkshop
from services.ediscovery.domain.errors import ProductionConflict, ProductionExpired
from services.ediscovery.domain.matters import Bounds
from services.ediscovery.domain.productions.items import File, Kind, Person
from services.ediscovery.domain.productions.orders import Stage, Wanted
from services.ediscovery.domain.productions.produce import Producer, State, state_from
from services.ediscovery.domain.productions.sources import (
    BodyState,
    CommittedMap,
    Head,
    LoggedEntry,
    Proofs,
    Span,
)
from services.ediscovery.domain.texts import Purpose
from services.ediscovery.store import productions as productions_store
from services.ediscovery.store.books import PostgresBooks
from services.ediscovery.store.production_queue import PostgresQueue
from services.ediscovery.usecases import produce
from services.ediscovery.usecases.access import Access
from services.ediscovery.usecases.matters import Matters
from services.ediscovery.usecases.produce import MakeProductions, Progress
from services.ediscovery.usecases.productions import ProductionRequests, Productions, Shown
from services.ediscovery.usecases.remove import TAKING, RemoveProductions
from tests.integration.compliance.house import person
from tests.support.engines import ServiceDatabase
from tests.unit.evidence.logs import INSTANCE, KEY, SALT, START, TENANT
from tests.unit.productions.made import LOG, PEOPLE, SIGNED, Log, Said

OURS: Final = TenantId(TENANT)
NOW: Final = START + timedelta(days=30)
MATTER: Final = UUID(int=0xC)
PRODUCTION: Final = UUID(int=0xA)
KEPT: Final = timedelta(days=30)
BATES: Final = Bates("ACME-", 6, 1, 4)
MAP: Final = UUID(int=0xB)
KINDS: Final = {Kind.CREATED: "conversation_created", Kind.MESSAGE: "message_created"}


class Killed(BaseException):
    """The process ends here: nobody catches this."""


class Archive:
    """The `Sources` port over a log in memory, whose proofs hold."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.talks = {talk[0].conversation.id: talk for talk in log.talks}
        self.asked: Callable[[], Any] = self._nothing

    async def map(self, tenant: TenantId) -> CommittedMap:
        await self.asked()
        return CommittedMap(MAP, START, bytes(32), len(self.talks))

    async def heads(self, tenant: TenantId, act: UUID, after: UUID | None) -> list[Head]:
        return [
            Head(
                head.conversation,
                talk[0].conversation.kind,
                head.last_seq,
                head.participants,
                SALT,
                tuple(each.id for each in talk[0].conversation.people),
                tuple(Span(each.id, 1, None) for each in talk[0].conversation.people),
            )
            for head, talk in zip(self.log.heads, self.log.talks, strict=True)
            if after is None or head.conversation > after
        ]

    async def entries(
        self, tenant: TenantId, conversation: UUID, first: int, last: int, purpose: Purpose
    ) -> list[LoggedEntry]:
        return [self._entry(each) for each in self.talks[conversation] if first <= each.seq <= last]

    async def proofs(self, tenant: TenantId, acts: Collection[UUID], size: int | None) -> Proofs:
        found: dict[UUID, Commit] = {}
        for at, room in enumerate(self.talks):
            leaf, detail = self.log.leaves[at], self.log.commits[room][1]
            found[room] = Commit(leaf, inclusion_proof(self.log.hashes, at), detail, SALT)
        last = len(self.log.leaves) - 1
        proof = inclusion_proof(self.log.hashes, last)
        found[MAP] = Commit(self.log.leaves[last], proof, self.log.detail, SALT)
        return Proofs(self.log.checkpoint, last + 1, {act: found[act] for act in acts})

    async def people(self, tenant: TenantId, principals: Collection[UUID]) -> dict[UUID, Person]:
        return {each.id: each for each in PEOPLE if each.id in principals}

    async def _nothing(self) -> None:
        return

    def _entry(self, said: Said) -> LoggedEntry:
        clear = said.body is not None
        return LoggedEntry(
            seq=said.seq,
            kind=KINDS[said.kind],
            message=said.message,
            revision=0,
            actor=said.sender,
            sent_at=said.sent_at,
            subjects=said.subjects,
            state=BodyState.CLEAR if clear else BodyState.NONE,
            commit=said.conversation.id,
            path=tuple(inclusion_proof(self.log.commits[said.conversation.id][0], said.seq - 1)),
            metadata=said.metadata(),
            metadata_commitment=metadata_commitment(said.metadata(), SALT),
            metadata_salt=SALT,
            body=said.body,
            body_salt=SALT if clear else None,
            body_commitment=body_commitment(said.body, SALT) if said.body is not None else None,
        )


class Moment(NamedTuple):
    """When a process is killed: at its `number`th write, before, within or after it, or with the machine."""

    number: int
    when: str


@dataclass
class Life:
    """How many writes a process did, and when it is killed."""

    end: Moment | None = None
    writes: int = 0
    of_files: set[int] = field(default_factory=set)

    def comes(self, when: str) -> bool:
        return self.end == Moment(self.writes, when)

    def begins(self, *, file: bool = False) -> None:
        self.writes += 1
        if file:
            self.of_files.add(self.writes)
        if self.comes("before"):
            raise Killed

    def ends(self) -> None:
        if self.comes("after"):
            raise Killed


class MortalBench:
    """A bench in a process that may be killed at each of its writes."""

    def __init__(self, inner: FolderBench, life: Life) -> None:
        self._inner: Any = inner
        self._life = life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def keep_plan(self, plan: bytes) -> None:
        self._life.begins()
        self._inner.keep_plan(plan)
        self._life.ends()

    def write(self, path: str, data: bytes) -> None:
        self._life.begins(file=True)
        if self._life.comes("within"):
            self._torn(path, data)
            raise Killed
        self._inner.write(path, data)
        if self._life.comes("without power"):
            self._lose_data()
            raise Killed
        self._life.ends()

    def finish(self) -> None:
        self._life.begins()
        self._inner.finish()
        self._life.ends()

    def _lose_data(self) -> None:
        """Leave half of each data file: these reach the disk when the machine likes."""
        for file in (self._inner.folder / "data").rglob("*"):
            if file.is_file():
                file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    def _torn(self, path: str, data: bytes) -> None:
        """Leave half a file as a write that was cut off does: of data files the half may bear the name."""
        target = self._inner.folder / path
        name = target.name if path.startswith("data/") else f"{target.name}.part"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_name(name).write_bytes(data[: len(data) // 2])


@dataclass
class MortalWorkshop:
    """A workshop of such benches."""

    folder: Path
    life: Life

    def bench(self, tenant: TenantId, production: UUID) -> MortalBench:
        return MortalBench(FolderWorkshop(self.folder).bench(tenant, production), self.life)


@dataclass
class MortalBooks:
    """Books whose transactions may be killed before or after their commit."""

    inner: PostgresBooks
    life: Life

    @asynccontextmanager
    async def begin(self, tenant: TenantId) -> AsyncIterator[Any]:
        async with self.inner.begin(tenant) as book:
            yield book
            self.life.begins()
        self.life.ends()


class Signer(NamedTuple):
    """Who signs productions here."""

    public: bytes = KEY.public_key().public_bytes_raw()
    sign: Callable[[bytes], bytes] = KEY.sign


class OneKey:
    """The key of productions."""

    async def find_signer(self) -> Signer:
        return Signer()


@dataclass
class Chambers:
    """eDiscovery's productions over its real database and a real folder, for a matter of everything."""

    app: TenantDatabase
    projecting: CrossingDatabase
    admin: "psycopg.AsyncConnection[Any]"
    folder: Path
    archive: Archive = field(default_factory=lambda: Archive(LOG))

    def __post_init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.ids = SystemIds(self.clock, SystemRandomness())
        self.books = PostgresBooks(self.app, self.clock, self.ids)
        self.counsel: Actor = person(OURS, 1, "legal_counsel")
        self.officer: Actor = person(OURS, 2, "compliance_officer")
        self.access = Access(Authorizer(Path("policies/authz")), Denials(self.clock))
        self.productions = Productions(
            self.books,
            self.access,
            self.archive,
            FolderWorkshop(self.folder),
            Progress(),
            self.clock,
            self.ids,
            KEPT,
        )

    async def open_matter(self) -> None:
        matters = Matters(self.books, self.access, self.clock, self.ids)
        nothing = Bounds(frozenset(), frozenset(), None, None)
        await matters.create(self.counsel, "Zebra", nothing, everything=True, matter=MATTER)
        await matters.add_member(self.counsel, MATTER, PrincipalId(self.officer.principal))

    async def ask(self, form: Format = Format.JSONL, bates: Bates = BATES) -> Shown:
        wanted = Wanted(form, None, bates)
        return await self.productions.ask(self.counsel, MATTER, wanted, "an order", PRODUCTION)

    async def shown(self) -> Shown:
        return await self.productions.get(self.counsel, MATTER, PRODUCTION)

    async def take(self) -> Path:
        return (await self.productions.take(self.counsel, MATTER, PRODUCTION)).folder

    def remove(self, life: Life) -> RemoveProductions:
        books, queue = MortalBooks(self.books, life), PostgresQueue(self.projecting)
        return RemoveProductions(books, queue, FolderWorkshop(self.folder), self.clock, self.ids, KEPT)

    def clear(self) -> list[Path]:
        """Return the files in which something stands that was said."""
        files = [each for each in self.folder.rglob("*") if each.is_file()]
        return [each for each in files if b"one 3" in each.read_bytes()]

    async def approve(self, shown: Shown) -> None:
        request = shown.standing.request
        desk = ProductionRequests(self.books, self.access, self.clock, self.ids)
        await desk.decide(self.officer, request.request, request.digest, approves=True)

    async def make(self, life: Life) -> bool:
        """Make what is due in a new process; say whether it lived."""
        job = MakeProductions(
            MortalBooks(self.books, life),
            PostgresQueue(self.projecting),
            self.archive,
            MortalWorkshop(self.folder, life),
            OneKey(),
            Progress(),
            self.clock,
            self.ids,
            INSTANCE,
        )
        try:
            await job()
        except Killed:
            return False
        return True

    async def begin_anew(self) -> None:
        """Have the same production be due as if it had never been made."""
        shutil.rmtree(self.folder, ignore_errors=True)
        async with self.admin.transaction():
            await self.admin.execute("SET LOCAL session_replication_role = replica")
            await self.admin.execute("DELETE FROM ediscovery.production_made")
            await self.admin.execute("DELETE FROM ediscovery.outbox")
            await self.admin.execute(
                "INSERT INTO ediscovery.production_due SELECT tenant, production FROM ediscovery.production"
                " ON CONFLICT DO NOTHING"
            )

    def package(self) -> bytes:
        """Return what is handed out."""
        bench = FolderWorkshop(self.folder).bench(OURS, PRODUCTION)
        return b"".join(zip_pieces(bench.folder))

    def numbers(self) -> list[str]:
        """Return all page numbers, in the order of the index: first and last of each entry."""
        bench = FolderWorkshop(self.folder).bench(OURS, PRODUCTION)
        lines = [parse_line(each, "index") for _, data in bench.segments() for each in data.splitlines()]
        return [label for line in lines if isinstance(line, EntryLine) for label in line.bates or ()]

    async def told(self, action: str) -> int:
        """Return how often the log was told of an act."""
        cursor = await self.admin.execute("SELECT body FROM ediscovery.outbox ORDER BY part, position")
        events = [decode(bytes(body))[1] for (body,) in await cursor.fetchall()]
        return sum(isinstance(each, EdiscoveryFact) and each.action == action for each in events)


@pytest.fixture
async def chambers(
    database_of: Callable[[str], ServiceDatabase], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Chambers]:
    """Give one in which a part has a few entries, so that a production of some has several."""
    monkeypatch.setattr(produce, "Producer", partial(Producer, part_entries=4))
    monkeypatch.setattr(produce, "MAP_LINES", 2)
    database = database_of("ediscovery")
    app = TenantDatabase(database.dsn("ediscovery_app"), "ediscovery")
    projecting = CrossingDatabase(database.dsn("ediscovery_projector"), "ediscovery-projector")
    async with AsyncExitStack() as stack:
        for pool in (app, projecting):
            await pool.open()
            stack.push_async_callback(pool.close)
        admin = await stack.enter_async_context(
            await psycopg.AsyncConnection.connect(database.admin_dsn.reveal(), autocommit=True)
        )
        made = Chambers(app, projecting, admin, tmp_path / "productions")
        await made.open_matter()
        yield made


async def differing(chambers: Chambers, form: Format) -> list[str]:
    """Kill a production at each of its writes, let another process go on, and return what is not right."""
    await chambers.approve(await chambers.ask(form))
    whole = Life()
    assert await chambers.make(whole)
    expected, numbers = chambers.package(), chambers.numbers()
    file = chambers.folder.with_suffix(".zip")
    file.write_bytes(expected)
    verify_path(file, SIGNED)
    assert await chambers.told("ediscovery.production.made") == 1
    found = []
    for moment in moments(whole):
        await chambers.begin_anew()
        assert not await chambers.make(Life(moment)), moment
        try:
            await chambers.make(Life())
            package, again = chambers.package(), chambers.numbers()
        except (EvidenceRefused, FileNotFoundError) as error:
            found.append(f"{moment}: it is not made: {error}")
            continue
        if package != expected:
            found.append(f"{moment}: the package differs")
        if again != numbers:
            found.append(f"{moment}: it is numbered otherwise")
        if (times := await chambers.told("ediscovery.production.made")) != 1:
            found.append(f"{moment}: it was told {times} times")
    return found


def moments(life: Life) -> Iterator[Moment]:
    """Give every moment at which a process that lives like this can be killed; files alone are torn."""
    for number in range(1, life.writes + 1):
        for when in ("before", "within", "without power", "after"):
            if when in ("before", "after") or number in life.of_files:
                yield Moment(number, when)


@pytest.mark.parametrize("form", [Format.JSONL, Format.EML])
async def test_a_production_that_is_killed_at_any_write_comes_out_the_same(
    chambers: Chambers, form: Format
) -> None:
    assert await differing(chambers, form) == []


def _forgets_numbers(segments: Iterator[File], bates: Bates | None) -> State:
    state = state_from(segments, bates)
    return replace(state, counts=replace(state.counts, pages=0))


@pytest.mark.planted
@pytest.mark.parametrize(
    ("defect", "complaint"),
    [
        ("numbers", "it is numbered otherwise"),
        ("files", "the package differs"),
        ("log", "it was told 2 times"),
    ],
)
async def test_a_production_that_goes_on_otherwise_is_noticed(
    chambers: Chambers, monkeypatch: pytest.MonkeyPatch, defect: str, complaint: str
) -> None:
    if defect == "numbers":
        monkeypatch.setattr(produce, "state_from", _forgets_numbers)
    elif defect == "files":
        monkeypatch.setattr(FolderBench, "segments", _segments_of_torn_files)
    else:
        monkeypatch.setattr(productions_store, "_DONE", "SELECT WHERE %s::uuid <> %s::uuid")
        monkeypatch.setattr(
            productions_store,
            "_ADD_MADE",
            f"{productions_store._ADD_MADE} ON CONFLICT DO NOTHING",
        )
    found = await differing(chambers, Format.JSONL)
    assert any(complaint in each for each in found), found


def _segments_of_torn_files(bench: FolderBench) -> Iterator[tuple[str, bytes]]:
    """Take a part for whole whose files nobody looked at."""
    bench._files.drop_unfinished()
    for path in sorted((bench.folder / "index").glob("*")):
        yield f"index/{path.name}", path.read_bytes()


async def test_one_id_asks_for_one_production_however_many_ask_at_once(chambers: Chambers) -> None:
    arrived, goes_on = 0, asyncio.Event()

    async def together() -> None:
        """Let nobody go on before all have seen that there is no such production yet."""
        nonlocal arrived
        arrived += 1
        if arrived == 4:
            goes_on.set()
        await goes_on.wait()

    chambers.archive.asked = together
    shown = await asyncio.gather(
        *(chambers.ask(form) for form in (Format.JSONL, Format.JSONL, Format.JSONL)),
        chambers.ask(Format.EML),
        return_exceptions=True,
    )
    answered = [each for each in shown if isinstance(each, Shown)]
    refused = [each for each in shown if isinstance(each, ProductionConflict)]
    assert len(answered) + len(refused) == 4, shown
    assert len({each.standing.request.request for each in answered}) == 1
    assert len({each.standing.order.wanted.format for each in answered}) == 1
    assert len(answered) in (1, 3)
    assert await chambers.told("ediscovery.production.requested") == 1
    cursor = await chambers.admin.execute(
        "SELECT (SELECT count(*) FROM ediscovery.production), (SELECT count(*) FROM ediscovery.approval)"
    )
    assert await cursor.fetchone() == (1, 1)


async def made(chambers: Chambers) -> None:
    await chambers.approve(await chambers.ask())
    assert await chambers.make(Life())
    assert chambers.clear() != []


async def test_a_production_whose_time_is_over_is_removed_and_its_record_stays(chambers: Chambers) -> None:
    await made(chambers)
    digest = (await chambers.shown()).standing.made
    chambers.clock.advance(KEPT.total_seconds() - 1)
    assert (await chambers.take()).is_dir()
    chambers.clock.advance(1)
    with pytest.raises(ProductionExpired):
        await chambers.take()
    await chambers.remove(Life())()
    assert chambers.clear() != []  # somebody may be taking it still
    chambers.clock.advance(TAKING.total_seconds() + 1)
    with pytest.raises(Killed):
        await chambers.remove(Life(Moment(1, "before")))()
    assert (await chambers.shown()).standing.removal is None
    for _ in range(2):
        await chambers.remove(Life())()
    assert chambers.clear() == []
    shown = await chambers.shown()
    assert (shown.standing.stage(NOW), shown.standing.made) == (Stage.REMOVED, digest)
    assert await chambers.told("ediscovery.production.removed") == 1
    with pytest.raises(ProductionExpired):
        await chambers.take()
    again = await chambers.ask()
    assert again.standing.removal is not None


@pytest.mark.planted
async def test_a_production_that_is_told_to_be_removed_and_is_there_is_noticed(
    chambers: Chambers, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made(chambers)
    monkeypatch.setattr(FolderBench, "remove", lambda _: None)
    chambers.clock.advance((KEPT + TAKING).total_seconds() + 1)
    await chambers.remove(Life())()
    assert await chambers.told("ediscovery.production.removed") == 1
    assert chambers.clear() != []


async def test_a_production_that_fails_leaves_no_files(chambers: Chambers) -> None:
    await chambers.approve(await chambers.ask(bates=Bates("ACME-", 1, 1, None)))
    assert await chambers.make(Life())
    assert (await chambers.shown()).standing.stage(NOW) is Stage.FAILED
    assert [each for each in chambers.folder.rglob("*") if each.is_file()] == []
