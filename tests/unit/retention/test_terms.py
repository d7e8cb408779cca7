"""An order says the same whatever order its claims came in: executors hash it."""

from datetime import UTC, datetime
from uuid import UUID

from libs.disposition.claims import Lock, Rule, RuleKind
from libs.disposition.period import Period
from services.retention.domain.orders import Claims
from services.retention.usecases.told import terms_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_terms_are_in_the_order_of_their_ids_whatever_order_they_came_in() -> None:
    rules = [Rule(UUID(int=n), 1, RuleKind.DELETION, Period(years=n)) for n in (1, 2, 3)]
    locks = [Lock(UUID(int=n), Period(years=n)) for n in (1, 2)]
    one = terms_of(Claims(NOON, tuple(rules), tuple(locks), ()))
    other = terms_of(Claims(NOON, tuple(reversed(rules)), tuple(reversed(locks)), ()))
    assert one == other
