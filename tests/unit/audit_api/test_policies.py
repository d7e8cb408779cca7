"""Who sees what of the log, role by role."""

from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from uuid import UUID

import pytest

from libs.authn.actor import Actor
from libs.authz.authorizer import Authorizer
from libs.kernel.actors import Facts
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId

OURS, THEIRS = TenantId(UUID(int=1)), TenantId(UUID(int=2))
AUTHORIZER = Authorizer(Path("policies/authz"))
CLASSES = ("operations", "legal", "platform")

SEEN = {
    # role: the classes of which it sees details
    "employee": set(),
    "guest": set(),
    "it_admin": {"operations"},
    "compliance_officer": {"operations", "legal"},
    "legal_counsel": {"legal"},
    "reviewer": set(),
    "auditor": {"operations", "legal"},
    "key_custodian": set(),
    "invented": set(),
}
READ = {"compliance_officer": {"own"}, "auditor": {"own", "platform"}}
LOGS = {"own": Facts("AuditLog", OURS), "platform": Facts("AuditLog", OURS, frozenset({"platform"}))}


def actor(*roles: str) -> Actor:
    return Actor(
        tenant=OURS,
        principal=PrincipalId(UUID(int=3)),
        session=SessionId(UUID(int=4)),
        device=DeviceId(UUID(int=5)),
        roles=frozenset(roles),
        expires_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(("role", "shown"), list(product(SEEN, CLASSES)))
def test_a_role_sees_the_classes_that_the_table_names_and_no_other(role, shown):
    detail = Facts("AuditDetail", OURS, frozenset({shown}))
    assert AUTHORIZER.allows(actor(role), "SeeDetail", detail) is (shown in SEEN[role])


@pytest.mark.parametrize(("role", "log"), list(product(SEEN, LOGS)))
@pytest.mark.parametrize("action", ["ReadLog", "TakeEvidence"])
def test_a_role_reads_the_logs_that_the_table_names_and_no_other(role, log, action):
    assert AUTHORIZER.allows(actor(role), action, LOGS[log]) is (log in READ.get(role, set()))


def test_no_roles_together_reach_another_organisation():
    everyone = actor(*SEEN)
    for shown in CLASSES:
        assert not AUTHORIZER.allows(everyone, "SeeDetail", Facts("AuditDetail", THEIRS, frozenset({shown})))
    for action in ("ReadLog", "TakeEvidence"):
        assert not AUTHORIZER.allows(everyone, action, Facts("AuditLog", THEIRS))


def test_no_roles_together_see_the_platforms_details():
    platform = Facts("AuditDetail", OURS, frozenset({"platform"}))
    assert not AUTHORIZER.allows(actor(*SEEN), "SeeDetail", platform)
