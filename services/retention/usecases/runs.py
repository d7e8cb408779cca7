"""Carry out a disposition: one person asks by the hash of a dry run, another approves, and it is ordered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.approvals.errors import RequestNotFound
from libs.approvals.request import Request, State, decide_request
from libs.contracts.retention import RUN, OrderCompleted
from libs.kernel.actors import Actor
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, PrincipalId, TenantId
from services.retention.domain.access import DECIDE, ORDER, READ
from services.retention.domain.errors import AnswerForeign, RetentionNotFound, RunPending
from services.retention.domain.orders import (
    EXECUTORS,
    RUN_ACT,
    Completion,
    Done,
    Order,
    Standing,
    decide_run,
    result_of,
)
from services.retention.domain.rules import in_force
from services.retention.ports.books import Answers, Book, Books
from services.retention.usecases.access import Access
from services.retention.usecases.told import (
    event_of,
    fact_of_completion,
    fact_of_decision,
    fact_of_order,
    fact_of_request,
)

MOST_LISTED: Final = 200


@dataclass(frozen=True, slots=True)
class Runs:
    """The requests to carry out what a dry run found, and what approving one does."""

    books: Books
    access: Access
    clock: Clock
    ids: Ids

    async def request(self, actor: Actor, dry_run: UUID, reason: str) -> Request:
        """Ask that the result of a dry run be carried out; nobody whose erasure it is can approve it.

        Raises RetentionNotFound, RunRefused, RunPending and ReasonRefused.
        """
        self.access.access(actor, ORDER)
        async with self.books.begin(actor.tenant) as book:
            tried = await self._standing(book, dry_run)
            await self._refuse_passed(book, tried)
            now = self.clock.now()
            latest = await book.requests.find_latest(dry_run)
            if latest is not None and latest.state(now) in (State.PENDING, State.USED):
                raise RunPending(latest.request)
            asked = decide_request(
                self.ids.uuid7(),
                actor.tenant,
                RUN_ACT,
                dry_run,
                result_of(tried).digest,
                actor.principal,
                reason,
                now,
                barred=[PrincipalId(each.subject) for each in tried.order.claims.erasures],
            )
            await book.requests.insert(asked)
            await book.publish([fact_of_request(asked)])
        return asked

    async def listed(self, actor: Actor) -> Sequence[Request]:
        """Return the newest requests. Raises RetentionNotFound."""
        self.access.access(actor, READ)
        async with self.books.begin(actor.tenant) as book:
            return await book.requests.listed(MOST_LISTED)

    async def shown(self, actor: Actor, request: UUID) -> Request:
        """Return a request. Raises RequestNotFound."""
        self._access_request(actor, READ, request)
        async with self.books.begin(actor.tenant) as book:
            return await book.requests.get(request)

    async def decide(self, actor: Actor, request: UUID, digest: bytes, *, approves: bool) -> Request:
        """Approve or refuse; the run is ordered in the transaction of its approval.

        Raises RequestNotFound, ApproverRefused, RequestDecided, DigestDiffers and RunRefused.
        """
        self._access_request(actor, DECIDE, request)
        async with self.books.begin(actor.tenant) as book:
            now = self.clock.now()
            decided = await book.requests.decide(request, actor.principal, digest, now, approves=approves)
            outgoing = [fact_of_decision(self.ids.uuid7(), decided, actor.principal, now)]
            if not approves:
                await book.publish(outgoing)
                return decided
            tried = await self._standing(book, decided.subject)
            await self._refuse_passed(book, tried)
            used = await book.requests.use(decided, RUN_ACT, decided.subject, result_of(tried).digest, now)
            order = self._run_of(tried, actor, now)
            await book.add_order(order)
            await book.publish([*outgoing, event_of(order), fact_of_order(order, used.request)])
        return used

    def _run_of(self, tried: Standing, actor: Actor, now: datetime) -> Order:
        result = result_of(tried)
        return Order(
            actor.tenant,
            self.ids.uuid7(),
            RUN,
            tried.order.claims,
            actor.principal,
            now,
            tried.order.order,
            result.generation,
            result.digest,
        )

    async def _standing(self, book: Book, order: UUID) -> Standing:
        found = await book.find_order(order)
        if found is None:
            raise RetentionNotFound("order")
        return found

    async def _refuse_passed(self, book: Book, tried: Standing) -> None:
        """Refuse to carry out what was found by rules or locks that are not in force any more."""
        locks = tuple(each.lock for each in await book.locks())
        decide_run(tried, in_force(await book.rules()), locks)

    def _access_request(self, actor: Actor, action: str, request: UUID) -> None:
        try:
            self.access.access(actor, action)
        except RetentionNotFound:
            raise RequestNotFound(request) from None


async def take_completion(
    answers: Answers, tenant: TenantId, executor: str, told: OrderCompleted, at: datetime, ids: Ids
) -> None:
    """Keep what an executor did, within the transaction of a projector; a repeat changes nothing.

    Raises AnswerForeign for an order that was never to be carried out.
    """
    order = await answers.find_order(tenant, told.order)
    if order is None or order.kind != RUN or executor not in EXECUTORS:
        raise AnswerForeign(told.order, "it was never to be carried out by this executor")
    done = Done(told.hidden, told.destroyed, told.spared, told.bytes, told.deks)
    completion = Completion(executor, told.refused, told, at, done)
    if await answers.complete(tenant, told.order, completion):
        await answers.publish(tenant, [fact_of_completion(ids.uuid7(), told.order, completion)])
