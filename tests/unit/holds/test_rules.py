"""What a hold is asked for with, where it stands, and what its release is known by."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.ids import PrincipalId, TenantId
from services.holds.domain.access import facts_of
from services.holds.domain.errors import HoldRefused
from services.holds.domain.holds import (
    EXECUTORS,
    MOST_NAMED,
    MOST_REASON,
    Hold,
    Release,
    Standing,
    State,
    Terms,
    decide_terms,
    digest_of_release,
    slowest_of,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TENANT = TenantId(uuid4())
COUNSEL, CUSTODIAN = PrincipalId(uuid4()), PrincipalId(uuid4())


def terms_of(**changes: Any) -> Terms:
    base = Terms(frozenset({CUSTODIAN}), frozenset(), None, None, silent=True, reason="a claim", matter=None)
    return replace(base, **changes)


def hold_of(**changes: Any) -> Hold:
    return Hold(TENANT, UUID(int=1), 3, terms_of(**changes), COUNSEL, NOON)


def test_terms_are_kept_as_they_are_said_but_for_blanks_around_the_reason() -> None:
    assert decide_terms(terms_of(reason="  a claim "), everything=False) == terms_of()


@pytest.mark.parametrize(
    ("changes", "everything"),
    [
        ({"reason": " "}, False),
        ({"reason": "x" * (MOST_REASON + 1)}, False),
        ({"custodians": frozenset()}, False),
        ({}, True),
        ({"since": NOON, "until": NOON}, False),
        ({"since": NOON, "until": NOON - timedelta(days=1)}, False),
        ({"conversations": frozenset(uuid4() for _ in range(MOST_NAMED + 1))}, False),
    ],
)
def test_terms_that_say_nothing_or_contradict_themselves_are_refused(
    changes: dict[str, Any], everything: bool
) -> None:
    with pytest.raises(HoldRefused):
        decide_terms(terms_of(**changes), everything=everything)


def test_a_hold_on_everything_says_so() -> None:
    everything = terms_of(custodians=frozenset())
    assert decide_terms(everything, everything=True).names_all


def test_a_hold_is_placed_then_in_force_then_released() -> None:
    placed = Standing(hold_of(), {EXECUTORS[0]: NOON})
    in_force = replace(placed, confirmations=dict.fromkeys(EXECUTORS, NOON), in_force_at=NOON)
    released = replace(in_force, release=Release(4, uuid4(), COUNSEL, NOON))
    assert [each.state for each in (placed, in_force, released)] == [
        State.PLACED,
        State.IN_FORCE,
        State.RELEASED,
    ]
    assert placed.missing == EXECUTORS[1:]
    assert in_force.missing == ()


@given(st.dictionaries(st.sampled_from([*EXECUTORS, "other"]), st.integers(0, 9)))
def test_the_slowest_executor_says_what_is_in_force(confirmed: dict[str, int]) -> None:
    slowest = slowest_of(confirmed)
    assert all(confirmed.get(executor, 0) >= slowest for executor in EXECUTORS)
    assert any(confirmed.get(executor, 0) == slowest for executor in EXECUTORS)


@pytest.mark.parametrize(
    "changes",
    [
        {"custodians": frozenset({CUSTODIAN, COUNSEL})},
        {"conversations": frozenset({uuid4()})},
        {"custodians": frozenset(), "conversations": frozenset({CUSTODIAN})},
        {"since": NOON},
        {"until": NOON},
        {"silent": False},
        {"matter": uuid4()},
    ],
)
def test_a_release_of_other_terms_has_another_digest(changes: dict[str, Any]) -> None:
    assert digest_of_release(hold_of(**changes)) != digest_of_release(hold_of())
    assert digest_of_release(hold_of()) == digest_of_release(hold_of())
    assert len(digest_of_release(hold_of())) == 32


class Person:
    """Somebody, as far as facts of holds go."""

    tenant = TENANT
    roles: frozenset[str] = frozenset()

    def __init__(self, principal: PrincipalId) -> None:
        self.principal = principal


def test_custodians_are_concerned_and_who_placed_a_hold_knows_of_it() -> None:
    assert facts_of(hold_of(), Person(CUSTODIAN)).holding == {"silent", "custodian"}
    assert facts_of(hold_of(silent=False), Person(CUSTODIAN)).holding == {"custodian"}
    assert facts_of(hold_of(custodians=frozenset({COUNSEL})), Person(COUNSEL)).holding == {"silent"}
