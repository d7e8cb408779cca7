"""What needs four eyes is done by two different people, as it was asked for, in time, and once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.approvals import request as rules
from libs.approvals.errors import (
    ApproverRefused,
    DigestDiffers,
    NotApproved,
    ReasonRefused,
    RequestDecided,
)
from libs.approvals.facts import fact_of
from libs.approvals.request import LIFETIME, Request, State, decide_decision, decide_request, decide_use
from libs.contracts.facts import Entity, MessagingFact
from libs.kernel.errors import DomainError
from libs.kernel.ids import PrincipalId, TenantId

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TENANT, SUBJECT = TenantId(UUID(int=1)), UUID(int=9)
ADA, BO, CY = (PrincipalId(UUID(int=number)) for number in (2, 3, 4))
DIGEST, OTHER = b"d" * 32, b"o" * 32
ACT = "messaging.import"


def asked(*barred: PrincipalId, reason: str = "the archive of 2019") -> Request:
    return decide_request(UUID(int=7), TENANT, ACT, SUBJECT, DIGEST, ADA, reason, NOON, barred=barred)


def approved() -> Request:
    return decide_decision(asked(), BO, DIGEST, NOON, approves=True)


def test_a_request_is_pending_then_approved_then_used():
    request = asked()
    assert request.state(NOON) is State.PENDING
    assert approved().state(NOON) is State.APPROVED
    assert decide_use(approved(), ACT, SUBJECT, DIGEST, NOON).state(NOON) is State.USED


def test_a_refused_request_stays_refused():
    refused = decide_decision(asked(), BO, DIGEST, NOON, approves=False)
    assert refused.state(NOON + 2 * LIFETIME) is State.REFUSED
    with pytest.raises(RequestDecided) as told:
        decide_decision(refused, CY, DIGEST, NOON, approves=True)
    assert told.value.state == "refused"
    with pytest.raises(NotApproved):
        decide_use(refused, ACT, SUBJECT, DIGEST, NOON)


def test_whoever_asked_cannot_approve_nor_refuse():
    for approves in (True, False):
        with pytest.raises(ApproverRefused):
            decide_decision(asked(), ADA, DIGEST, NOON, approves=approves)


def test_whom_it_concerns_cannot_approve():
    with pytest.raises(ApproverRefused):
        decide_decision(asked(BO), BO, DIGEST, NOON, approves=True)


def test_who_saw_something_else_approves_nothing():
    with pytest.raises(DigestDiffers):
        decide_decision(asked(), BO, OTHER, NOON, approves=True)


@pytest.mark.parametrize(
    ("act", "subject", "digest"),
    [("messaging.purge", SUBJECT, DIGEST), (ACT, UUID(int=8), DIGEST), (ACT, SUBJECT, OTHER)],
)
def test_an_approval_serves_no_other_act(act: str, subject: UUID, digest: bytes):
    with pytest.raises(DigestDiffers):
        decide_use(approved(), act, subject, digest, NOON)


def test_an_approval_serves_once():
    used = decide_use(approved(), ACT, SUBJECT, DIGEST, NOON)
    with pytest.raises(NotApproved) as told:
        decide_use(used, ACT, SUBJECT, DIGEST, NOON)
    assert told.value.state == "used"


@pytest.mark.parametrize("request_", [asked(), approved()])
def test_what_has_expired_is_neither_approved_nor_used(request_: Request):
    late = NOON + LIFETIME
    assert request_.state(late - timedelta(microseconds=1)) is not State.EXPIRED
    assert request_.state(late) is State.EXPIRED
    with pytest.raises(RequestDecided):
        decide_decision(request_, CY, DIGEST, late, approves=True)
    with pytest.raises(NotApproved):
        decide_use(request_, ACT, SUBJECT, DIGEST, late)


@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 1001])
def test_a_request_has_a_reason_of_bearable_length(reason: str):
    with pytest.raises(ReasonRefused):
        asked(reason=reason)


def test_the_fact_names_the_request_and_not_its_reason():
    fact = fact_of(
        MessagingFact,
        "messaging.import.requested",
        UUID(int=5),
        asked(reason="canary-77"),
        ADA,
        NOON,
        Entity(kind="import", id=str(SUBJECT)),
    )
    assert fact.approvals == (UUID(int=7),)
    assert "canary-77" not in str(fact)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["approve", "refuse", "use"]),
        st.sampled_from([ADA, BO, CY]),
        st.sampled_from([DIGEST, DIGEST, OTHER]),
        st.integers(min_value=0, max_value=10),
    ),
    max_size=8,
)


def walked(steps: list[tuple[str, PrincipalId, bytes, int]]) -> list[Request]:
    """Return the states through which attempts, one after the other, bring a request that bars Cy."""
    seen = [asked(CY)]
    now = NOON
    for what, who, digest, days in steps:
        now += timedelta(days=days)
        try:
            if what == "use":
                seen.append(decide_use(seen[-1], ACT, SUBJECT, digest, now))
            else:
                seen.append(rules.decide_decision(seen[-1], who, digest, now, approves=what == "approve"))
        except DomainError:
            continue
    return seen


def judge(seen: list[Request]) -> None:
    """Fail unless what was used had been approved by somebody else, in time, and once."""
    assert sum(each.used_at is not None for each in seen) <= 1
    for each in seen:
        assert each.decided_by in (None, BO)
        if each.used_at is not None:
            assert each.approved
            assert each.used_at < each.expires_at


@given(steps=STEPS)
def test_whatever_is_tried_only_another_approves_and_once(steps):
    judge(walked(steps))


@pytest.mark.planted
def test_a_rule_that_lets_the_requester_approve_is_caught(monkeypatch: pytest.MonkeyPatch):
    def lax(request: Request, approver: PrincipalId, _: bytes, now: datetime, *, approves: bool) -> Request:
        return replace(request, decided_by=approver, decided_at=now, approved=approves)

    monkeypatch.setattr(rules, "decide_decision", lax)
    with pytest.raises(AssertionError):
        judge(walked([("approve", ADA, DIGEST, 0)]))
