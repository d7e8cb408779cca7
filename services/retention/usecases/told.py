"""What executors and the audit log are told of retention: ids alone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.approvals.facts import fact_of
from libs.approvals.request import Request
from libs.contracts.facts import Actor, Entity, RetentionFact
from libs.contracts.retention import (
    DRY_RUN,
    RUN,
    DispositionOrderIssued,
    OrderedErasure,
    OrderedLock,
    OrderedPeriod,
    OrderedRule,
    Terms,
)
from libs.disposition.claims import Lock, Rule
from libs.disposition.period import Period
from libs.evidence.certificate.statement import CERTIFICATE_ENTITY, DIGEST_ENTITY, ISSUED
from libs.kernel.denials import Denial
from libs.kernel.ids import PrincipalId
from services.retention.domain.orders import Answer, Claims, Completion, Issued, Order
from services.retention.domain.rules import ErasureRequest, LockVersion, RuleVersion

RULE_MADE: Final = "retention.rule.made"
RULE_CHANGED: Final = "retention.rule.changed"
RULE_ENDED: Final = "retention.rule.ended"
LOCK_MADE: Final = "retention.lock.made"
LOCK_EXTENDED: Final = "retention.lock.extended"
ERASURE_REQUESTED: Final = "retention.erasure.requested"
ORDER_ISSUED: Final = "retention.order.issued"
ORDER_ANSWERED: Final = "retention.order.answered"
ORDER_COMPLETED: Final = "retention.order.completed"
RUN_REQUESTED: Final = "retention.run.requested"
RUN_APPROVED: Final = "retention.run.approved"
RUN_REFUSED: Final = "retention.run.refused"
ACCESS_DENIED: Final = "retention.access.denied"
MOST_NAMED: Final = 100
"""Conversations that one fact names; beyond that it says how many there are."""


def event_of(order: Order) -> DispositionOrderIssued:
    """Return what executors are told of an order."""
    return DispositionOrderIssued(
        order=order.order,
        kind=RUN if order.kind == RUN else DRY_RUN,  # to an executor a what-if is a dry run
        terms=terms_of(order.claims),
        dry_run=order.dry_run,
        generation=order.generation,
        digest=order.digest,
    )


def terms_of(claims: Claims) -> Terms:
    """Return the claims as an order carries them, each list in the order of its ids."""
    return Terms(
        as_of=claims.as_of,
        rules=tuple(_rule(rule) for rule in sorted(claims.rules, key=lambda rule: rule.rule)),
        locks=tuple(_lock(lock) for lock in sorted(claims.locks, key=lambda lock: lock.lock)),
        erasures=tuple(
            OrderedErasure(erasure=each.erasure, subject=each.subject, requested_at=each.requested_at)
            for each in sorted(claims.erasures, key=lambda each: each.erasure)
        ),
        without_holds=tuple(sorted(claims.without_holds)),
    )


def fact_of_rule(act: UUID, version: RuleVersion) -> RetentionFact:
    """Return the fact that a rule was made, changed or ended."""
    rule = version.rule
    action = RULE_ENDED if version.ended else RULE_MADE if rule.version == 1 else RULE_CHANGED
    return RetentionFact(
        act=act,
        action=action,
        actor=Actor(kind="principal", id=version.made_by),
        at=version.made_at,
        entities=(
            Entity(kind="retention-rule", id=str(rule.rule)),
            Entity(kind="version", id=str(rule.version)),
            *_conversations(sorted(rule.conversations or ())),
        ),
    )


def fact_of_lock(act: UUID, version: LockVersion) -> RetentionFact:
    """Return the fact that a preservation lock was made or extended."""
    return RetentionFact(
        act=act,
        action=LOCK_MADE if version.version == 1 else LOCK_EXTENDED,
        actor=Actor(kind="principal", id=version.made_by),
        at=version.made_at,
        entities=(
            Entity(kind="preservation-lock", id=str(version.lock.lock)),
            Entity(kind="version", id=str(version.version)),
        ),
    )


def fact_of_erasure(request: ErasureRequest) -> RetentionFact:
    """Return the fact that a request for erasure was taken in; the act is named as the request is."""
    return RetentionFact(
        act=request.erasure.erasure,
        action=ERASURE_REQUESTED,
        actor=Actor(kind="principal", id=request.taken_by),
        at=request.erasure.requested_at,
        entities=(
            Entity(kind="erasure", id=str(request.erasure.erasure)),
            Entity(kind="principal", id=str(request.erasure.subject)),
        ),
    )


def fact_of_order(order: Order, *approvals: UUID) -> RetentionFact:
    """Return the fact that an order was given, by these approvals; the act is named as the order is."""
    return RetentionFact(
        act=order.order,
        action=ORDER_ISSUED,
        actor=Actor(kind="principal", id=order.issued_by),
        at=order.issued_at,
        entities=(_order(order.order), Entity(kind="order-kind", id=order.kind)),
        approvals=approvals,
    )


def fact_of_request(request: Request) -> RetentionFact:
    """Return the fact that somebody asked for a run."""
    act, by, at = request.request, request.requester, request.requested_at
    return fact_of(RetentionFact, RUN_REQUESTED, act, request, by, at, *_run(request))


def fact_of_decision(act: UUID, request: Request, by: PrincipalId, at: datetime) -> RetentionFact:
    """Return the fact that somebody else decided on it."""
    action = RUN_APPROVED if request.approved else RUN_REFUSED
    return fact_of(RetentionFact, action, act, request, by, at, *_run(request))


def fact_of_completion(act: UUID, order: UUID, completion: Completion) -> RetentionFact:
    """Return the fact that an executor carried out a run, or ended it early."""
    return RetentionFact(
        act=act,
        action=ORDER_COMPLETED,
        actor=Actor(kind="service", name=completion.executor),
        at=completion.at,
        entities=(_order(order),),
        outcome="refused" if completion.refused else "done",
    )


def fact_of_certificate(certificate: UUID, issued: Issued) -> RetentionFact:
    """Return the fact that a certificate was issued: by its hash the log names this one and no other."""
    return RetentionFact(
        act=issued.act,
        action=ISSUED,
        actor=Actor(kind="service", name="retention"),
        at=issued.at,
        entities=(
            Entity(kind=CERTIFICATE_ENTITY, id=str(certificate)),
            Entity(kind=DIGEST_ENTITY, id=issued.digest.hex()),
        ),
    )


def fact_of_answer(act: UUID, order: UUID, answer: Answer) -> RetentionFact:
    """Return the fact that an executor answered; it names the hash of what was found."""
    return RetentionFact(
        act=act,
        action=ORDER_ANSWERED,
        actor=Actor(kind="service", name=answer.executor),
        at=answer.at,
        entities=(
            _order(order),
            Entity(kind="result", id=answer.digest.hex()),
            Entity(kind="hold-generation", id=str(answer.generation)),
        ),
        outcome="refused" if answer.refused else "done",
    )


def fact_of_denial(denial: Denial, act: UUID) -> RetentionFact:
    """Return the fact of the denials of one person, act and minute."""
    return RetentionFact(
        act=act,
        action=ACCESS_DENIED,
        actor=Actor(kind="principal", id=denial.principal),
        at=denial.minute,
        entities=(Entity(kind="act", id=denial.act),),
        outcome="refused",
        count=denial.count,
    )


def _rule(rule: Rule) -> OrderedRule:
    return OrderedRule(
        rule=rule.rule,
        version=rule.version,
        kind=rule.kind.value,
        period=_period(rule.period),
        grace_seconds=int(rule.grace.total_seconds()),
        conversation_types=_types(rule.conversation_types),
        conversations=None if rule.conversations is None else tuple(sorted(rule.conversations)),
    )


def _lock(lock: Lock) -> OrderedLock:
    return OrderedLock(
        lock=lock.lock, period=_period(lock.period), conversation_types=_types(lock.conversation_types)
    )


def _period(period: Period) -> OrderedPeriod:
    return OrderedPeriod(years=period.years, months=period.months, days=period.days)


def _types(types: frozenset[str] | None) -> tuple[str, ...] | None:
    return None if types is None else tuple(sorted(types))


def _run(request: Request) -> tuple[Entity, ...]:
    return _order(request.subject), Entity(kind="result", id=request.digest.hex())


def _order(order: UUID) -> Entity:
    return Entity(kind="disposition-order", id=str(order))


def _conversations(names: Sequence[UUID]) -> list[Entity]:
    entities = [Entity(kind="conversation", id=str(name)) for name in names[:MOST_NAMED]]
    if len(names) > MOST_NAMED:
        entities.append(Entity(kind="conversation-count", id=str(len(names))))
    return entities
