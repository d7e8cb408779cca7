"""Versions of rules and locks: what may follow what, and which results may still be carried out."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.disposition.claims import Erasure, Lock, Rule, RuleKind
from libs.disposition.errors import PeriodRefused
from libs.disposition.period import Period
from libs.kernel.errors import DomainError
from libs.kernel.ids import PrincipalId, TenantId
from services.retention.domain.errors import RuleEnded, RuleRefused, RunRefused, VersionPassed
from services.retention.domain.orders import (
    Answer,
    Claims,
    Completion,
    Done,
    Order,
    Standing,
    State,
    decide_as_of,
    decide_run,
    result_of,
)
from services.retention.domain.rules import (
    CONVERSATION_TYPES,
    LockVersion,
    RuleVersion,
    Wanted,
    decide_change,
    decide_end,
    decide_extension,
    in_force,
)

TENANT, OFFICER = TenantId(UUID(int=1)), PrincipalId(UUID(int=2))
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATE = timedelta(days=30_000)

periods = st.builds(Period, st.integers(0, 9), st.integers(0, 20), st.integers(0, 40)).filter(
    lambda period: period != Period()
)
types = st.none() | st.frozensets(st.sampled_from(sorted(CONVERSATION_TYPES)), min_size=1)


def version_of(rule: Rule, *, ended: bool = False) -> RuleVersion:
    return RuleVersion(TENANT, rule, None, ended, OFFICER, NOON)


RULE = Rule(UUID(int=3), 4, RuleKind.DELETION, Period(years=3))
WANTED = Wanted(RuleKind.DELETION, Period(years=2))


@given(first=periods, then=st.lists(st.tuples(periods, types), max_size=5), of=types)
def test_whatever_is_asked_of_a_lock_it_never_keeps_less(
    first: Period, then: list[tuple[Period, frozenset[str] | None]], of: frozenset[str] | None
):
    latest = LockVersion(TENANT, Lock(UUID(int=5), first, of), 1, OFFICER, NOON)
    for period, wider in then:
        try:
            extended = decide_extension(latest, latest.version, period, wider)
        except PeriodRefused:
            continue
        for moment in (NOON, datetime(2024, 2, 29, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC)):
            assert extended.period.end(moment) >= latest.lock.period.end(moment)
        for kind in CONVERSATION_TYPES:
            assert extended.binds(kind) or not latest.lock.binds(kind)
        latest = replace(latest, lock=extended, version=latest.version + 1)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda: decide_change(version_of(RULE), 3, WANTED, {}), VersionPassed),
        (lambda: decide_change(version_of(RULE), 5, WANTED, {}), VersionPassed),
        (lambda: decide_change(version_of(RULE, ended=True), 4, WANTED, {}), RuleEnded),
        (lambda: decide_change(version_of(RULE), 4, replace(WANTED, kind=RuleKind.FLOOR), {}), RuleRefused),
        (lambda: decide_end(version_of(RULE, ended=True), 4), RuleEnded),
        (lambda: decide_end(version_of(RULE), 3), VersionPassed),
        (lambda: decide_as_of(NOON + timedelta(microseconds=1), NOON), RuleRefused),
    ],
)
def test_what_does_not_follow_is_refused(change: Callable[[], object], refusal: type[DomainError]):
    with pytest.raises(refusal):
        change()


def test_a_rule_that_ended_is_not_in_force_and_keeps_what_it_said():
    ended = decide_end(version_of(RULE), 4)
    assert (ended.version, ended.period) == (5, RULE.period)
    other = replace(RULE, rule=UUID(int=1))
    assert in_force([version_of(ended, ended=True), version_of(other)]) == (other,)
    assert in_force([version_of(RULE), version_of(other)]) == (other, RULE)


CLAIMS = Claims(NOON, (RULE,), (Lock(UUID(int=5), Period(years=1)),), ())
ORDER = Order(TENANT, UUID(int=6), "dry-run", CLAIMS, OFFICER, NOON)
FOUND = Answer("messaging", 7, bytes(32), "", None, NOON)
TRIED = Standing(ORDER, {"messaging": FOUND})


def test_a_result_is_carried_out_while_the_rules_and_locks_are_those_that_it_was_found_by():
    decide_run(TRIED, CLAIMS.rules, CLAIMS.locks)
    assert result_of(TRIED) == FOUND
    erased = replace(CLAIMS, erasures=(Erasure(UUID(int=8), UUID(int=9), NOON),))
    decide_run(replace(TRIED, order=replace(ORDER, claims=erased)), CLAIMS.rules, CLAIMS.locks)


@pytest.mark.planted
@pytest.mark.parametrize(
    ("tried", "rules", "locks"),
    [
        (TRIED, (), CLAIMS.locks),
        (TRIED, (replace(RULE, version=5),), CLAIMS.locks),
        (TRIED, CLAIMS.rules, ()),
        (TRIED, CLAIMS.rules, (Lock(UUID(int=5), Period(years=2)),)),
        (Standing(ORDER), CLAIMS.rules, CLAIMS.locks),
        (Standing(ORDER, {"messaging": replace(FOUND, refused="x")}), CLAIMS.rules, CLAIMS.locks),
        (Standing(replace(ORDER, dry_run=UUID(int=1)), {"messaging": FOUND}), CLAIMS.rules, CLAIMS.locks),
    ],
)
def test_anything_else_is_not_carried_out(tried: Standing, rules: tuple[Rule, ...], locks: tuple[Lock, ...]):
    with pytest.raises(RunRefused):
        decide_run(tried, rules, locks)


def test_an_order_stands_as_its_executors_say():
    run = replace(ORDER, kind="run", dry_run=UUID(int=6), generation=7, digest=bytes(32))
    did = Completion("messaging", "", None, NOON, Done(0, 0, 0, 0, 0))
    assert Standing(ORDER).state is State.ISSUED
    assert TRIED.state is State.ANSWERED
    assert Standing(run, {"messaging": FOUND}).state is State.ISSUED
    assert Standing(run, completions={"messaging": did}).state is State.DONE
    early = replace(did, refused="GenerationPassed")
    assert Standing(run, completions={"messaging": early}).state is State.FAILED
