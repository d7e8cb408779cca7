"""Give orders of disposition, and take in what executors answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.contracts.retention import DRY_RUN, OrderAnswered, digest_of_result
from libs.disposition.claims import Erasure
from libs.disposition.presets import Preset
from libs.kernel.actors import Actor
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.retention.domain.access import ORDER, READ
from services.retention.domain.errors import AnswerForeign, RetentionNotFound
from services.retention.domain.orders import (
    EXECUTORS,
    WHAT_IF,
    Answer,
    Claims,
    Order,
    Standing,
    WhatIf,
    decide_as_of,
    supposed,
)
from services.retention.domain.rules import Wanted, decide_rule, in_force
from services.retention.ports.books import Answers, Books
from services.retention.usecases.access import Access
from services.retention.usecases.told import event_of, fact_of_answer, fact_of_order, terms_of


class Page(NamedTuple):
    """Orders, the newest first; `after` is where the next page begins, None on the last."""

    orders: Sequence[Standing]
    after: UUID | None


@dataclass(frozen=True, slots=True)
class Supposition:
    """What somebody supposes: these rules made and those ended, erasures by these people, holds released."""

    rules: tuple[Wanted, ...] = ()
    without_rules: frozenset[UUID] = frozenset()
    erasures_of: frozenset[UUID] = frozenset()
    without_holds: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Orders:
    """The orders of a tenant."""

    books: Books
    access: Access
    presets: Mapping[str, Preset]
    clock: Clock
    ids: Ids

    async def try_out(
        self, actor: Actor, as_of: datetime | None, what_if: Supposition | None = None
    ) -> Standing:
        """Order a dry run by the rules, locks and erasures as they stand: it counts, and changes nothing.

        A what-if supposes something beside that; its result is never carried out. Raises RetentionNotFound
        where the actor may not, RuleRefused and PeriodRefused.
        """
        self.access.access(actor, ORDER)
        now = self.clock.now()
        moment = decide_as_of(as_of, now)
        async with self.books.begin(actor.tenant) as book:
            claims = Claims(
                moment,
                in_force(await book.rules()),
                tuple(each.lock for each in await book.locks()),
                tuple(each.erasure for each in await book.erasures()),
            )
            kind = DRY_RUN
            if what_if is not None:
                kind, claims = WHAT_IF, supposed(claims, self._what_if_of(what_if, now))
            order = Order(actor.tenant, self.ids.uuid7(), kind, claims, actor.principal, now)
            await book.add_order(order)
            await book.publish([event_of(order), fact_of_order(order)])
        return Standing(order)

    def _what_if_of(self, wanted: Supposition, now: datetime) -> WhatIf:
        return WhatIf(
            tuple(decide_rule(self.ids.uuid7(), 1, each, self.presets) for each in wanted.rules),
            wanted.without_rules,
            tuple(Erasure(self.ids.uuid7(), subject, now) for subject in wanted.erasures_of),
            wanted.without_holds,
        )

    async def get(self, actor: Actor, order: UUID) -> Standing:
        """Return an order with its answers. Raises RetentionNotFound."""
        self.access.access(actor, READ)
        async with self.books.begin(actor.tenant) as book:
            found = await book.find_order(order)
        if found is None:
            raise RetentionNotFound("order")
        return found

    async def listed(self, actor: Actor, after: UUID | None, limit: int) -> Page:
        """Return at most `limit` orders from behind `after` on. Raises RetentionNotFound."""
        self.access.access(actor, READ)
        async with self.books.begin(actor.tenant) as book:
            found = await book.orders(after, limit)
        return Page(found, found[-1].order.order if len(found) == limit else None)


async def take_answer(
    answers: Answers, tenant: TenantId, executor: str, answered: OrderAnswered, at: datetime, ids: Ids
) -> None:
    """Keep what an executor found, within the transaction of a projector; a repeat changes nothing.

    The hash is computed anew from the order as it was given here: an executor that was told something else
    cannot answer. Raises AnswerForeign.
    """
    order = await answers.find_order(tenant, answered.order)
    if order is None or executor not in EXECUTORS:
        raise AnswerForeign(answered.order, "it was never given to this executor")
    terms = terms_of(order.claims)
    if answered.digest != digest_of_result(tenant, terms, answered.generation, answered.classes):
        raise AnswerForeign(answered.order, "its hash is not that of this order and these counts")
    answer = Answer(executor, answered.generation, answered.digest, answered.refused, answered, at)
    if await answers.add(tenant, answered.order, answer):
        await answers.publish(tenant, [fact_of_answer(ids.uuid7(), answered.order, answer)])
