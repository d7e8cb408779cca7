"""Acts carry ids alone, are named as the catalogue names them, and refusals accuse nobody."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.contracts.actions import ACTIONS
from libs.kernel.clock import ManualClock
from libs.kernel.denials import Denial, Denials
from libs.kernel.ids import PrincipalId, TenantId
from services.identity.domain import acts
from services.identity.store.acts import ACTS

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TENANT, ADA, ROW = TenantId(UUID(int=1)), PrincipalId(UUID(int=2)), UUID(int=3)


def test_every_act_of_the_catalogue_is_counted_and_no_other():
    assert set(ACTS) == {name for name, action in ACTIONS.items() if action.source == "identity"}


@pytest.mark.parametrize(
    ("was_active", "is_active", "action"),
    [
        (True, True, "identity.principal.updated"),
        (False, False, "identity.principal.updated"),
        (True, False, "identity.principal.deactivated"),
        (False, True, "identity.principal.reactivated"),
    ],
)
def test_a_change_is_one_act_by_what_weighs_most(was_active: bool, is_active: bool, action: str):
    act = acts.changed(ADA, acts.OPERATOR, NOW, was_active=was_active, is_active=is_active)
    assert act.action == action


@pytest.mark.parametrize("act", [acts.SIGN_IN, acts.REFRESH])
def test_whose_name_was_used_without_proof_has_not_acted(act: str):
    told = acts.denied(Denial(TENANT, ADA, act, NOW, 7), ROW)
    assert told.by == acts.STRANGER
    assert ("principal", ADA) in told.on
    assert (told.count, told.id) == (7, ROW)


def test_who_is_signed_in_and_denied_is_named():
    told = acts.denied(Denial(TENANT, ADA, "SearchPeople", NOW, 2), ROW)
    assert told.by == acts.person(ADA)
    assert told.on == (("act", "SearchPeople"),)


def test_a_flood_of_unknown_names_takes_one_place():
    denials = Denials(ManualClock(NOW))
    for _ in range(50_000):
        denials.note(TENANT, None, acts.SIGN_IN)
    (told,) = denials.take_due(everything=True)
    assert told.count == 50_000
