"""Who may do what about retention, role by role."""

from pathlib import Path

import pytest

from libs.authz.authorizer import Authorizer
from libs.kernel.actors import Facts
from libs.kernel.ids import TenantId
from services.retention.domain.access import CHANGE, DECIDE, ERASE, ORDER, READ, organisation
from tests.unit.retention.roles import OURS, ROLES, THEIRS, Bearer

AUTHORIZER = Authorizer(Path("policies/authz"))
MAY = {
    READ: {"compliance_officer", "legal_counsel", "auditor"},
    CHANGE: {"compliance_officer"},
    ERASE: {"compliance_officer"},
    ORDER: {"compliance_officer"},
    DECIDE: {"compliance_officer", "legal_counsel"},
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", MAY)
def test_each_role_may_do_what_the_table_says_and_nothing_else(action: str, role: str):
    assert AUTHORIZER.allows(Bearer(role), action, organisation(OURS)) is (role in MAY[action])


@pytest.mark.parametrize("action", MAY)
def test_nobody_reaches_into_another_organisation(action: str):
    foreign: Facts = organisation(TenantId(THEIRS))
    assert not any(AUTHORIZER.allows(Bearer(role), action, foreign) for role in ROLES)
