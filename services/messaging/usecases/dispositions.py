"""Answer orders of disposition where the data lie: by class, each class checked by decided samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from libs.contracts.retention import (
    ClassFound,
    DispositionOrderIssued,
    MessagingOrderAnswered,
    OrderedPeriod,
    Sample,
    SampledStep,
    Terms,
    digest_of_result,
)
from libs.disposition.claims import Erasure, Hold, Lock, Rule, RuleKind
from libs.disposition.classes import DispositionClass, classes_of, named_by
from libs.disposition.decision import Dispose, Disposition, Preserve, Retain, disposition_of
from libs.disposition.period import FOREVER, Period
from libs.disposition.trace import Step
from libs.kernel.ids import TenantId
from services.messaging.domain.dispositions import (
    TYPES,
    Claims,
    Place,
    Sampled,
    Standing,
    Tally,
    in_order,
    standing_of,
)
from services.messaging.ports import DispositionOrders, OpenOrder, OrderedDisposition, ReceivedOrders

ANSWER_SECONDS: Final = 0.5
"""How often it is looked for orders."""
SAMPLES_DIFFER: Final = "SamplesDiffer"
"""Why an order is refused when an item's own decision is not that of its class: nothing is believed then."""


@dataclass(frozen=True, slots=True)
class AnswerOrders:
    """Answers the orders that wait."""

    orders: DispositionOrders

    async def __call__(self) -> None:
        """Answer every order that waits; one that fails waits on, and keeps no other from its answer.

        Raises LogUnavailable, or the first failure when all had their turn.
        """
        failures: list[Exception] = []
        for tenant, order in await self.orders.waiting():
            try:
                async with self.orders.open(tenant, order) as opened:
                    if opened is not None:
                        await opened.answer(await _answer_of(tenant, opened))
            except Exception as error:  # noqa: BLE001 - raised again below
                failures.append(error)
        for failure in failures[:1]:
            raise failure


async def take_order(
    orders: ReceivedOrders, tenant: TenantId, event: DispositionOrderIssued, at: datetime
) -> None:
    """Take in an order, within the transaction of a projector."""
    await orders.add(tenant, event.order, event, at)


def issued_of(order: OrderedDisposition) -> DispositionOrderIssued:
    """Return an order as the event that it came by. Raises TypeError for anything else."""
    if not isinstance(order, DispositionOrderIssued):
        msg = "an order is kept as the event that it came by"
        raise TypeError(msg)
    return order


async def _answer_of(tenant: TenantId, opened: OpenOrder) -> MessagingOrderAnswered:
    order = issued_of(opened.order)
    generation = await opened.generation()
    claims = claims_of(order.terms, await opened.holds())
    named = await opened.types_of(named_by(claims.rules, claims.holds))
    classes = in_order(classes_of(TYPES.values(), named, *claims))
    tallies = await opened.tally(classes)
    sampled = await opened.sampled([place for tally in tallies for place in tally.samples])
    decided = {each.place: (each, disposition_of(each.item, *claims)) for each in sampled}
    if not _agree(tallies, decided, claims.as_of):
        return MessagingOrderAnswered(
            order=order.order,
            generation=generation,
            digest=digest_of_result(tenant, order.terms, generation, ()),
            refused=SAMPLES_DIFFER,
        )
    found = found_in(classes, tallies)
    return MessagingOrderAnswered(
        order=order.order,
        generation=generation,
        digest=digest_of_result(tenant, order.terms, generation, found),
        classes=found,
        samples=tuple(_sample(each, decision, claims.as_of) for each, decision in decided.values()),
    )


def claims_of(terms: Terms, holds: Sequence[Hold]) -> Claims:
    """Return what an order names, as the disposition knows it, with the holds that stand here."""
    return Claims(
        tuple(
            Rule(
                rule.rule,
                rule.version,
                RuleKind(rule.kind),
                _period(rule.period),
                None if rule.conversation_types is None else frozenset(rule.conversation_types),
                None if rule.conversations is None else frozenset(rule.conversations),
                timedelta(seconds=rule.grace_seconds),
            )
            for rule in terms.rules
        ),
        tuple(hold for hold in holds if hold.hold not in terms.without_holds),
        tuple(
            Lock(
                lock.lock,
                _period(lock.period),
                None if lock.conversation_types is None else frozenset(lock.conversation_types),
            )
            for lock in terms.locks
        ),
        tuple(Erasure(each.erasure, each.subject, each.requested_at) for each in terms.erasures),
        terms.as_of,
    )


def found_in(classes: Sequence[DispositionClass], tallies: Sequence[Tally]) -> tuple[ClassFound, ...]:
    """Return what was counted, as it is told and hashed."""
    return tuple(_found(number, each, tallies) for number, each in enumerate(classes))


def _agree(
    tallies: Sequence[Tally], decided: Mapping[Place, tuple[Sampled, Disposition]], as_of: datetime
) -> bool:
    """Say whether every sample is decided by itself as its class says."""
    return all(
        place in decided and standing_of(decided[place][1], as_of) is tally.standing
        for tally in tallies
        for place in tally.samples
    )


def _found(number: int, counted: DispositionClass, tallies: Sequence[Tally]) -> ClassFound:
    own = {tally.standing: tally for tally in tallies if tally.number == number}
    going = [own[standing] for standing in (Standing.HIDDEN, Standing.RIPE) if standing in own]
    items = {standing.value: tally.items for standing, tally in own.items()}
    sizes = {f"{standing.value}_bytes": tally.bytes for standing, tally in own.items()}
    return ClassFound(
        conversation_type=counted.conversation_type,
        conversations=None if counted.conversations is None else tuple(sorted(counted.conversations)),
        first_at=min((tally.first_at for tally in going), default=None),
        last_at=max((tally.last_at for tally in going), default=None),
        **items,
        **sizes,
    )


def _sample(sampled: Sampled, decision: Disposition, as_of: datetime) -> Sample:
    due_at, destroy_at = _dates_of(decision)
    return Sample(
        conversation=sampled.place.conversation,
        seq=sampled.place.seq,
        sent_at=sampled.item.sent_at,
        standing=standing_of(decision, as_of).value,
        due_at=_said(due_at),
        destroy_at=_said(destroy_at),
        trace=tuple(_step(step) for step in decision.trace),
    )


def _dates_of(decision: Disposition) -> tuple[datetime | None, datetime | None]:
    match decision:
        case Retain(until=until):
            return until, None
        case Preserve(due_at=due_at):
            return due_at, None
        case Dispose(due_at=due_at, destroy_at=destroy_at):
            return due_at, destroy_at


def _step(step: Step) -> SampledStep:
    return SampledStep(
        voice=step.voice.value,
        source=step.source,
        version=step.version,
        at=_said(step.at),
        grace_seconds=int(step.grace.total_seconds()),
        won=step.won,
    )


def _said(instant: datetime | None) -> datetime | None:
    return None if instant is None or instant == FOREVER else instant


def _period(period: OrderedPeriod) -> Period:
    return Period(period.years, period.months, period.days)
