"""Make the productions that were approved, one at a time, and go on where a process was killed."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from uuid import UUID

from libs.evidence.completeness import OpenedHead
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.manifest import (
    MANIFEST,
    NOTE,
    Completeness,
    Counts,
    FileRef,
    Manifest,
    sign_manifest,
)
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids
from libs.merkle.tree import inclusion_proofs
from services.ediscovery.domain.errors import CorrespondenceUnavailable, ProofsBehind
from services.ediscovery.domain.productions.errors import OutOfOrder
from services.ediscovery.domain.productions.items import File
from services.ediscovery.domain.productions.judge import Judge
from services.ediscovery.domain.productions.orders import Failure, Made, Order
from services.ediscovery.domain.productions.plan import Plan, dump_plan, parse_plan
from services.ediscovery.domain.productions.produce import (
    MAP_LINES,
    Producer,
    map_file,
    ref_of,
    state_from,
    writer_of,
)
from services.ediscovery.domain.productions.sources import CommittedMap
from services.ediscovery.domain.query import ids_as_written, parse, resolve
from services.ediscovery.ports.books import Books
from services.ediscovery.ports.productions import Bench, ProductionKey, Queue, Sources, Workshop
from services.ediscovery.usecases.gather import Gather, Page, Place
from services.ediscovery.usecases.heads import heads_in
from services.ediscovery.usecases.told import fact_of_outcome


class Progress:
    """How far the productions of this process are."""

    def __init__(self) -> None:
        """Begin with none."""
        self._done: dict[UUID, int] = {}

    def reached(self, production: UUID, entries: int) -> None:
        """Say that so many entries of a production are done."""
        self._done[production] = entries

    def ended(self, production: UUID) -> None:
        """Forget a production."""
        self._done.pop(production, None)

    def of(self, production: UUID) -> int:
        """Return how many entries of a production are done, as far as this process knows."""
        return self._done.get(production, 0)


@dataclass(frozen=True, slots=True)
class MakeProductions:
    """Makes what is due; what cannot be made now stays due, and hinders no other production."""

    books: Books
    queue: Queue
    sources: Sources
    workshop: Workshop
    key: ProductionKey
    progress: Progress
    clock: Clock
    ids: Ids
    instance: str

    async def __call__(self) -> None:
        """Make what is due. Raises the last of the errors that kept something from being made."""
        trouble: Exception | None = None
        for tenant, production in await self.queue.due():
            async with self.books.begin(tenant) as book:
                standing = await book.productions.find(production)
            if standing is None:
                continue
            try:
                await self._end(standing.order, await self._outcome(standing.order))
            except Exception as error:  # noqa: BLE001 - raised again below
                trouble = error
        if trouble is not None:
            raise trouble

    async def _outcome(self, order: Order) -> Made | Failure:
        """Make a production, or say why it cannot be made, ever."""
        try:
            return await self._make(order)
        except OutOfOrder:
            return self._failed("the log gave entries out of their order")
        except EvidenceRefused as refused:
            return self._failed(refused.reason)
        except ProofsBehind:  # as long as the log lags, it is tried again from what is newest then
            self.workshop.bench(order.tenant, order.production).drop_plan()
            raise

    def _failed(self, reason: str) -> Failure:
        return Failure(self.ids.uuid7(), reason, self.clock.now())

    async def _end(self, order: Order, outcome: Made | Failure) -> None:
        if isinstance(outcome, Failure):  # what was written is clear text, and nobody takes it
            await asyncio.to_thread(self.workshop.bench(order.tenant, order.production).remove)
        async with self.books.begin(order.tenant) as book:
            if await book.productions.end(order, outcome):
                await book.publish([fact_of_outcome(order, outcome)])
        self.progress.ended(order.production)

    async def _make(self, order: Order) -> Made:
        bench = self.workshop.bench(order.tenant, order.production)
        plan = await self._plan(order, bench)
        producer = await asyncio.to_thread(_producer_of, order, bench, self.instance)
        await self._write_parts(order, plan, bench, producer)
        completeness, checkpoint = await self._completeness(order, plan, bench)
        signer = await self.key.find_signer()
        if signer is None:
            raise CorrespondenceUnavailable
        now = self.clock.now()
        manifest = Manifest(
            production=order.production,
            tenant=order.tenant,
            made_at=now,
            format=order.wanted.format,
            scope=order.scope,
            counts=producer.state.counts,
            segments=producer.state.segments,
            query=order.wanted.query,
            matter=order.matter,
            approvals=(order.request,),
            bates=order.wanted.bates,
            checkpoint=checkpoint,
            completeness=completeness,
        )
        data, note = sign_manifest(self.instance, manifest, signer.public, signer.sign)
        await asyncio.to_thread(_finish, bench, data, note)
        return self._made(data, manifest.counts, now)

    def _made(self, manifest: bytes, counts: Counts, at: datetime) -> Made:
        return Made(self.ids.uuid7(), hashlib.sha256(manifest).digest(), counts, at)

    async def _plan(self, order: Order, bench: Bench) -> Plan:
        """Return as of what the production is made: what was kept, or else what is newest.

        Raises ProofsBehind until a checkpoint covers the map.
        """
        kept = await asyncio.to_thread(bench.find_plan)
        if kept is not None:
            return parse_plan(kept)
        committed = await self.sources.map(order.tenant)
        proofs = await self.sources.proofs(order.tenant, [committed.act], None)
        if committed.act not in proofs.acts:
            raise ProofsBehind(order.production)
        plan = Plan(committed, proofs.size)
        await asyncio.to_thread(bench.keep_plan, dump_plan(plan))
        return plan

    async def _write_parts(self, order: Order, plan: Plan, bench: Bench, producer: Producer) -> None:
        """Write what is not written yet, page by page."""
        query = None
        if order.wanted.query is not None:
            query = resolve(parse(order.wanted.query), ids_as_written)
        judge, last = Judge(order.scope, query), producer.state.last
        gather = Gather(self.sources, order, plan.committed.act, plan.size)
        done = producer.state.counts.in_scope
        self.progress.reached(order.production, done)
        async for page in gather.pages(None if last is None else Place(*last)):
            await asyncio.to_thread(_write_page, page, judge, producer, bench)
            done += page.last - page.first + 1
            self.progress.reached(order.production, done)
        await asyncio.to_thread(_write, bench, producer.flush)

    async def _completeness(self, order: Order, plan: Plan, bench: Bench) -> tuple[Completeness, bytes]:
        """Write the conversations that the log committed to, and return the claim with its checkpoint."""
        committed = plan.committed
        proofs = await self.sources.proofs(order.tenant, [committed.act], plan.size)
        if committed.act not in proofs.acts:
            raise ProofsBehind(order.production)
        segments: list[FileRef] = []
        shown: list[OpenedHead] = []
        numbers = count(1)
        async for opened in self._opened(order, committed):
            shown.append(opened)
            if len(shown) == MAP_LINES:
                segments.append(await asyncio.to_thread(_write_map, bench, next(numbers), shown))
                shown = []
        if shown:
            segments.append(await asyncio.to_thread(_write_map, bench, next(numbers), shown))
        commit = proofs.acts[committed.act]
        claim = Completeness(commit.leaf, tuple(commit.proof), commit.detail, commit.salt, tuple(segments))
        return claim, proofs.checkpoint

    async def _opened(self, order: Order, committed: CommittedMap) -> AsyncIterator[OpenedHead]:
        """Give what is shown of the map: the named conversations with their places, or else all."""
        named = order.scope.conversations
        hashes: list[bytes] = []
        kept: dict[int, OpenedHead] = {}
        async for head in heads_in(self.sources, order.tenant, committed.act):
            if named is None:
                yield head.opened(order.scope)
                continue
            if head.conversation in named:
                kept[len(hashes)] = head.opened(order.scope)
            hashes.append(head.committed.hashed())
        for (at, opened), proof in zip(kept.items(), inclusion_proofs(hashes, list(kept)), strict=True):
            yield OpenedHead(opened.head, opened.tree, opened.salt, opened.custodians, at, tuple(proof))


def _producer_of(order: Order, bench: Bench, domain: str) -> Producer:
    """Return who goes on with a production behind its whole parts."""
    bates = order.wanted.bates
    state = state_from((File(*each) for each in bench.segments()), bates)
    return Producer(writer_of(order.wanted.format, domain, order.scope.custodians or ()), bates, state)


def _write_page(page: Page, judge: Judge, producer: Producer, bench: Bench) -> None:
    """Judge the entries of a page, and write the parts that are whole with it."""
    items = judge.items(
        page.about, page.presence, page.entries, page.commits, page.first, page.last, page.until
    )
    for item in items:
        for file in producer.feed(item):
            bench.write(*file)


def _write(bench: Bench, flush: Callable[[], list[File]]) -> None:
    for file in flush():
        bench.write(*file)


def _write_map(bench: Bench, number: int, shown: list[OpenedHead]) -> FileRef:
    file = map_file(number, shown)
    bench.write(*file)
    return ref_of(file)


def _finish(bench: Bench, manifest: bytes, note: bytes) -> None:
    bench.write(MANIFEST, manifest)
    bench.write(NOTE, note)
    bench.finish()
