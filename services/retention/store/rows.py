"""Rows as what they stand for."""

from datetime import timedelta
from typing import Any, Final

import msgspec

from libs.contracts.retention import OrderAnswered, OrderCompleted
from libs.disposition.claims import Erasure, Lock, Rule, RuleKind
from libs.disposition.period import Period
from libs.kernel.ids import PrincipalId, TenantId
from services.retention.domain.orders import Answer, Claims, Completion, Done, Order
from services.retention.domain.rules import ErasureRequest, LockVersion, RuleVersion

_CLAIMS: Final = msgspec.json.Decoder(Claims)
_FOUND: Final = msgspec.json.Decoder(OrderAnswered)
_TOLD: Final = msgspec.json.Decoder(OrderCompleted)


def rule_of(row: Any) -> RuleVersion:
    """Return a version of a rule."""
    rule = Rule(
        row.rule,
        row.version,
        RuleKind(row.kind),
        _period_of(row),
        _set_of(row.conversation_types),
        _set_of(row.conversations),
        timedelta(seconds=row.grace_seconds),
    )
    return RuleVersion(
        TenantId(row.tenant), rule, row.preset, row.ended, PrincipalId(row.made_by), row.made_at
    )


def lock_of(row: Any) -> LockVersion:
    """Return a version of a lock."""
    lock = Lock(row.lock, _period_of(row), _set_of(row.conversation_types))
    return LockVersion(TenantId(row.tenant), lock, row.version, PrincipalId(row.made_by), row.made_at)


def erasure_of(row: Any) -> ErasureRequest:
    """Return a request for erasure."""
    erasure = Erasure(row.erasure, row.subject, row.requested_at)
    return ErasureRequest(TenantId(row.tenant), erasure, PrincipalId(row.taken_by))


def order_of(row: Any) -> Order:
    """Return an order."""
    return Order(
        TenantId(row.tenant),
        row.order_id,
        row.kind,
        _CLAIMS.decode(row.claims),
        PrincipalId(row.issued_by),
        row.issued_at,
        row.dry_run,
        row.generation,
        None if row.digest is None else bytes(row.digest),
    )


def answer_of(row: Any) -> Answer:
    """Return an answer."""
    return Answer(
        row.executor, row.generation, bytes(row.digest), row.refused, _FOUND.decode(row.found), row.at
    )


def completion_of(row: Any) -> Completion:
    """Return what an executor did."""
    told = _TOLD.decode(row.told)
    done = Done(told.hidden, told.destroyed, told.spared, told.bytes, told.deks)
    return Completion(row.executor, told.refused, told, row.at, done)


def json_of(value: object) -> str:
    """Return a value as it is kept."""
    return msgspec.json.encode(value).decode()


def _period_of(row: Any) -> Period:
    return Period(row.years, row.months, row.days)


def _set_of(values: Any) -> frozenset[Any] | None:
    return None if values is None else frozenset(values)
