"""Who may do what with holds, as `policies/authz` says it."""

from itertools import chain, combinations
from pathlib import Path
from uuid import uuid4

import pytest

from libs.authz.authorizer import Authorizer
from libs.kernel.actors import Facts
from libs.kernel.ids import PrincipalId, TenantId
from services.holds.domain.access import (
    DECIDE_RELEASE,
    PLACE,
    READ,
    READ_GENERATION,
    READ_REASON,
    REQUEST_RELEASE,
)

ROLES = (
    "employee",
    "guest",
    "it_admin",
    "compliance_officer",
    "legal_counsel",
    "reviewer",
    "auditor",
    "key_custodian",
)
LEGAL, CONTROL = {"legal_counsel"}, {"legal_counsel", "compliance_officer", "auditor"}
DECIDES = {"legal_counsel", "compliance_officer"}
TENANT, ELSEWHERE = TenantId(uuid4()), TenantId(uuid4())
AUTHORIZER = Authorizer(Path("policies/authz"))


class Person:
    """Somebody with one role."""

    tenant = TENANT
    principal = PrincipalId(uuid4())

    def __init__(self, *roles: str) -> None:
        self.roles = frozenset(roles)


def allowed(action: str, resource: Facts) -> set[str]:
    return {role for role in ROLES if AUTHORIZER.allows(Person(role), action, resource)}


def hold(*facts: str, tenant: TenantId = TENANT) -> Facts:
    return Facts("Hold", tenant, frozenset(facts))


def test_counsel_alone_places_holds() -> None:
    assert allowed(PLACE, Facts("Tenant", TENANT)) == LEGAL
    assert allowed(READ_GENERATION, Facts("Tenant", TENANT)) == CONTROL


def test_administration_sees_nothing_of_silent_holds_and_no_reason_of_others() -> None:
    assert allowed(READ, hold("silent")) == CONTROL
    assert allowed(READ, hold()) == CONTROL | {"it_admin"}
    assert allowed(READ_REASON, hold()) == CONTROL


def test_releases_are_asked_for_by_counsel_and_decided_by_counsel_or_compliance() -> None:
    for facts in ((), ("silent",), ("custodian",)):
        assert allowed(REQUEST_RELEASE, hold(*facts)) == LEGAL
        assert allowed(DECIDE_RELEASE, hold(*facts)) == DECIDES


@pytest.mark.parametrize("action", [READ, READ_REASON, REQUEST_RELEASE, DECIDE_RELEASE])
def test_a_silent_hold_is_silent_to_its_custodians_whatever_roles_they_have(action: str) -> None:
    every = chain.from_iterable(combinations(ROLES, size) for size in (1, 2, len(ROLES)))
    concerned = hold("silent", "custodian")
    assert not any(AUTHORIZER.allows(Person(*roles), action, concerned) for roles in every)


@pytest.mark.parametrize("action", [READ, READ_REASON, REQUEST_RELEASE, DECIDE_RELEASE])
def test_nobody_reaches_into_another_organisation(action: str) -> None:
    assert allowed(action, hold(tenant=ELSEWHERE)) == set()
