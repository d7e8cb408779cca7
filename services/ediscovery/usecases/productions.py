"""Ask for productions, approve them as another person, see what came of them, and take them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from libs.approvals.errors import RequestNotFound
from libs.approvals.request import Request, decide_request
from libs.evidence.production.manifest import Scope
from libs.kernel.actors import Actor
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.ediscovery.domain.access import (
    DECIDE_PRODUCTION,
    READ_PRODUCTION,
    REQUEST_PRODUCTION,
    TAKE_PRODUCTION,
)
from services.ediscovery.domain.errors import (
    NameUnknown,
    NotFound,
    ProductionConflict,
    ProductionExpired,
    ProductionUnfinished,
    QueryRefused,
)
from services.ediscovery.domain.productions.orders import (
    PRODUCTION,
    Extent,
    Order,
    Standing,
    Wanted,
    digest_of,
    scope_of,
)
from services.ediscovery.domain.query import Field, ids_as_written, parse, resolve
from services.ediscovery.ports.books import Book, Books
from services.ediscovery.ports.productions import Download, Sources, Workshop
from services.ediscovery.usecases.access import Access
from services.ediscovery.usecases.heads import heads_in
from services.ediscovery.usecases.produce import Progress
from services.ediscovery.usecases.told import fact_of_decision, fact_of_download, fact_of_production

MOST_LISTED: Final = 200


class Shown(NamedTuple):
    """A production with how many entries of its scope are done, and until when it can be taken."""

    standing: Standing
    done: int
    until: datetime | None = None


class Taken(NamedTuple):
    """A production to be handed out: the act that tells of it, and its folder."""

    act: UUID
    folder: Path


@dataclass(frozen=True, slots=True)
class Productions:
    """The productions of matters; who is no member of a matter does not learn that there are any."""

    books: Books
    access: Access
    sources: Sources
    workshop: Workshop
    progress: Progress
    clock: Clock
    ids: Ids
    kept: timedelta

    async def ask(
        self, actor: Actor, matter: UUID, wanted: Wanted, reason: str, production: UUID | None = None
    ) -> Shown:
        """Ask for a production of what was sent until now; no custodian of the matter can approve it.

        `production` makes a repeat harmless. Raises NotFound, QueryRefused, ReasonRefused, ProductionConflict
        or CorrespondenceUnavailable.
        """
        async with self.books.begin(actor.tenant) as book:
            found = await self.access.access_matter(book, actor, matter, REQUEST_PRODUCTION)
            before = None if production is None else await book.productions.find(production)
        if wanted.query is not None:
            resolve(parse(wanted.query), _ids_in)
        if before is not None:
            return self._repeated(actor, before, matter, wanted)
        now = self.clock.now()
        scope = scope_of(found.bounds, now)
        named = production or self.ids.uuid7()
        order = Order(
            actor.tenant,
            named,
            matter,
            scope,
            wanted,
            await self._extent(actor.tenant, scope),
            actor.principal,
            now,
            self.ids.uuid7(),
        )
        request = decide_request(
            order.request,
            actor.tenant,
            PRODUCTION,
            named,
            digest_of(order),
            actor.principal,
            reason,
            now,
            barred=found.bounds.custodians,
        )
        try:
            async with self.books.begin(actor.tenant) as book:
                await book.productions.add(order, request)
                await book.publish([fact_of_production(order)])
        except ProductionConflict:  # somebody asked by this id meanwhile: this is a repeat of that
            return await self._repeat(actor, named, matter, wanted)
        return Shown(Standing(order, request), 0)

    async def get(self, actor: Actor, matter: UUID, production: UUID) -> Shown:
        """Return a production of a matter. Raises NotFound."""
        async with self.books.begin(actor.tenant) as book:
            return self._shown(await self._access(book, actor, matter, production, READ_PRODUCTION))

    async def listed(self, actor: Actor, matter: UUID, after: UUID | None, limit: int) -> list[Shown]:
        """Return the productions of a matter, the newest first. Raises NotFound."""
        async with self.books.begin(actor.tenant) as book:
            await self.access.access_matter(book, actor, matter, READ_PRODUCTION)
            return [self._shown(each) for each in await book.productions.of_matter(matter, after, limit)]

    async def take(self, actor: Actor, matter: UUID, production: UUID) -> Taken:
        """Return where a production lies, to be handed out; told of before its first byte leaves.

        Raises NotFound, ProductionUnfinished and ProductionExpired.
        """
        async with self.books.begin(actor.tenant) as book:
            standing = await self._access(book, actor, matter, production, TAKE_PRODUCTION)
            now = self.clock.now()
            if standing.made is None:
                raise ProductionUnfinished(production, standing.stage(now))
            until = standing.made.at + self.kept
            if standing.removal is not None or until <= now:
                raise ProductionExpired(production, until)
            download = Download(self.ids.uuid7(), production, actor.principal, now)
            await book.productions.record_download(download)
            await book.publish([fact_of_download(standing.order, standing.made, download)])
        return Taken(download.act, self.workshop.bench(actor.tenant, production).folder)

    async def _extent(self, tenant: TenantId, scope: Scope) -> Extent:
        conversations = entries = 0
        committed = await self.sources.map(tenant)
        async for head in heads_in(self.sources, tenant, committed.act):
            if head.last_seq and head.is_in(scope):
                conversations, entries = conversations + 1, entries + head.last_seq
        return Extent(conversations, entries)

    async def _repeat(self, actor: Actor, production: UUID, matter: UUID, wanted: Wanted) -> Shown:
        async with self.books.begin(actor.tenant) as book:
            before = await book.productions.find(production)
        if before is None:
            raise ProductionConflict(production)
        return self._repeated(actor, before, matter, wanted)

    def _repeated(self, actor: Actor, before: Standing, matter: UUID, wanted: Wanted) -> Shown:
        order = before.order
        if (order.matter, order.wanted, order.asked_by) != (matter, wanted, actor.principal):
            raise ProductionConflict(order.production)
        return self._shown(before)

    async def _access(
        self, book: Book, actor: Actor, matter: UUID, production: UUID, action: str
    ) -> Standing:
        await self.access.access_matter(book, actor, matter, action)
        standing = await book.productions.find(production)
        if standing is None or standing.order.matter != matter:
            raise NotFound
        return standing

    def _shown(self, standing: Standing) -> Shown:
        if standing.made is not None:
            return Shown(standing, standing.made.counts.in_scope, standing.made.at + self.kept)
        return Shown(standing, self.progress.of(standing.order.production))


def _ids_in(written: Field) -> Collection[UUID]:
    """Take ids alone: whom a name means may change between asking, approving and making."""
    try:
        return ids_as_written(written)
    except NameUnknown:
        reason = f"the query of a production has an id after {written.name}:, no name"
        raise QueryRefused(written.column, reason) from None


@dataclass(frozen=True, slots=True)
class ProductionRequests:
    """The requests for productions, and what approving one does: with it, the production begins."""

    books: Books
    access: Access
    clock: Clock
    ids: Ids

    async def listed(self, actor: Actor) -> Sequence[Request]:
        """Return the newest requests of matters that the actor may see."""
        found = []
        async with self.books.begin(actor.tenant) as book:
            for request in await book.productions.requests(MOST_LISTED):
                standing = await book.productions.find(request.subject)
                if standing is None:
                    continue
                if await self.access.shows_matter(book, actor, standing.order.matter, READ_PRODUCTION):
                    found.append(request)
        return found

    async def shown(self, actor: Actor, request: UUID) -> Request:
        """Return a request. Raises RequestNotFound."""
        async with self.books.begin(actor.tenant) as book:
            found = await book.productions.get_request(request)
            await self._order(book, actor, found, READ_PRODUCTION)
            return found

    async def decide(self, actor: Actor, request: UUID, digest: bytes, *, approves: bool) -> Request:
        """Approve or refuse a production; an approval is used in the transaction that gives it.

        Raises RequestNotFound, ApproverRefused, RequestDecided and DigestDiffers.
        """
        async with self.books.begin(actor.tenant) as book:
            shelf, now = book.productions, self.clock.now()
            order = await self._order(book, actor, await shelf.get_request(request), DECIDE_PRODUCTION)
            decided = await shelf.decide(request, actor.principal, digest, now, approves=approves)
            if approves:
                decided = await shelf.use(decided, order, digest_of(order), now)
            await book.publish([fact_of_decision(order, self.ids.uuid7(), decided, now)])
        return decided

    async def _order(self, book: Book, actor: Actor, request: Request, action: str) -> Order:
        """Return what a request is for, if the actor may do that with it. Raises RequestNotFound."""
        standing = await book.productions.find(request.subject)
        if standing is None:
            raise RequestNotFound(request.request)
        try:
            await self.access.access_matter(book, actor, standing.order.matter, action)
        except NotFound:
            raise RequestNotFound(request.request) from None
        return standing.order
