"""A key counts as revoked when it has been refused all along for long enough."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from libs.kernel.ids import TenantId
from services.ediscovery.usecases.revoked import Refusals

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OURS, THEIRS = TenantId(uuid4()), TenantId(uuid4())


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_refusal_has_to_last() -> None:
    refusals = Refusals(timedelta(seconds=10))
    assert refusals.lasting([OURS], at(0)) == []
    assert refusals.lasting([OURS, THEIRS], at(9)) == []
    assert refusals.lasting([OURS, THEIRS], at(10)) == [OURS]
    assert set(refusals.lasting([OURS, THEIRS], at(19))) == {OURS, THEIRS}


def test_a_key_that_was_had_meanwhile_begins_anew() -> None:
    refusals = Refusals(timedelta(seconds=10))
    refusals.lasting([OURS], at(0))
    refusals.lasting([], at(5))
    assert refusals.lasting([OURS], at(10)) == []
    assert refusals.lasting([OURS], at(20)) == [OURS]
