"""What each role may do, as tables that an auditor can read; and what is refused looks absent."""

from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from uuid import UUID

import pytest

from libs.authn.actor import Actor
from libs.authz.authorizer import Authorizer, PoliciesRefused
from libs.authz.errors import NotFound
from libs.kernel.actors import Facts
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId

POLICIES = Path("policies/authz")
OURS, THEIRS = TenantId(UUID(int=1)), TenantId(UUID(int=2))
STAFF = ("compliance_officer", "legal_counsel", "reviewer", "auditor", "key_custodian")
OTHERS = ("employee", "guest", "it_admin")
AMENDMENTS = ("ReviseMessage", "RetractMessage")
CHANGES = ("ChangeParticipants", "ChangeConversation", "ArchiveConversation", "LeaveConversation")
AUTHORIZER = Authorizer(POLICIES)


def actor(*roles: str) -> Actor:
    return Actor(
        tenant=OURS,
        principal=PrincipalId(UUID(int=3)),
        session=SessionId(UUID(int=4)),
        device=DeviceId(UUID(int=5)),
        roles=frozenset(roles),
        expires_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def conversation(*holding: str) -> Facts:
    return Facts("Conversation", OURS, frozenset(holding))


NOBODY_IN_IT = conversation()
IN_IT = conversation("participant")
WAS_IN_IT = conversation("former_participant")
RUNS_IT = conversation("participant", "administrator")
RUNS_IT_FOR_TWO = conversation("participant", "administrator", "direct")
IMPORTED = conversation("participant", "administrator", "imported")
HEARS = conversation("participant", "announcements")
ANNOUNCES = conversation("participant", "announcements", "administrator")
OVER = conversation("participant", "administrator", "archived")
ORGANISATION = Facts("Tenant", OURS)


def message(*holding: str) -> Facts:
    return Facts("Message", OURS, frozenset(holding))


OWN = message("participant", "own", "in_time")
OWN_LATE = message("participant", "own", "administrator")
OWN_AND_LEFT = message("own", "in_time")
OWN_IMPORTED = message("participant", "own", "in_time", "imported")
OWN_AMONG_ANNOUNCEMENTS = message("participant", "own", "in_time", "announcements")
OWN_ANNOUNCEMENT = message("participant", "own", "in_time", "announcements", "administrator")
OWN_ARCHIVED = message("participant", "own", "in_time", "moderated", "administrator", "archived")
OTHERS_IN_TIME = message("participant", "in_time", "moderated")
MODERATED = message("participant", "administrator", "moderated")
NOT_MODERATED = message("participant", "administrator")
MODERATED_FOR_TWO = message("participant", "administrator", "moderated", "direct")
MODERATED_AND_LEFT = message("administrator", "moderated")

EXAMPLES = [
    # roles, action, resource, allowed
    (("employee",), "ReadConversation", IN_IT, True),
    (("employee",), "ReadConversation", WAS_IN_IT, True),
    (("employee",), "ReadConversation", NOBODY_IN_IT, False),
    (("employee",), "SendMessage", IN_IT, True),
    (("employee",), "SendMessage", WAS_IN_IT, False),
    (("employee",), "SendMessage", NOBODY_IN_IT, False),
    (("employee",), "ChangeParticipants", IN_IT, False),
    (("employee",), "ChangeParticipants", RUNS_IT, True),
    (("employee",), "ChangeParticipants", RUNS_IT_FOR_TWO, False),
    (("employee",), "ChangeParticipants", conversation("administrator"), False),
    (("employee",), "CreateConversation", ORGANISATION, True),
    (("employee",), "SearchPeople", ORGANISATION, True),
    (("guest",), "ReadConversation", IN_IT, True),
    (("guest",), "ReadConversation", NOBODY_IN_IT, False),
    (("guest",), "SendMessage", IN_IT, True),
    (("guest",), "SendMessage", NOBODY_IN_IT, False),
    (("guest",), "CreateConversation", ORGANISATION, False),
    (("guest",), "ChangeParticipants", RUNS_IT, False),
    (("guest",), "SearchPeople", ORGANISATION, False),
    (("it_admin",), "ReadConversation", NOBODY_IN_IT, False),
    (("it_admin",), "ReadConversation", IN_IT, False),
    (("it_admin",), "ReadConversation", WAS_IN_IT, False),
    (("it_admin",), "SendMessage", IN_IT, False),
    (("it_admin",), "ChangeParticipants", RUNS_IT, False),
    (("it_admin",), "CreateConversation", ORGANISATION, False),
    (("it_admin",), "SearchPeople", ORGANISATION, True),
    (("employee", "it_admin"), "ReadConversation", IN_IT, True),
    (("employee", "it_admin"), "ReadConversation", NOBODY_IN_IT, False),
    (("guest", "it_admin"), "ReadConversation", IN_IT, False),
    *[((role,), "ReadConversation", IN_IT, False) for role in STAFF],
    *[((role,), "ReadConversation", NOBODY_IN_IT, False) for role in STAFF],
    *[((role,), "SearchPeople", ORGANISATION, True) for role in STAFF],
    (("employee",), "ReadConversation", IMPORTED, True),
    (("employee",), "SendMessage", IMPORTED, False),
    (("employee",), "ChangeParticipants", IMPORTED, False),
    *[(("employee",), act, IMPORTED, False) for act in CHANGES],
    *[(("employee",), act, RUNS_IT, True) for act in CHANGES],
    *[(("employee",), act, RUNS_IT_FOR_TWO, False) for act in CHANGES],
    *[(("employee",), act, IN_IT, act == "LeaveConversation") for act in CHANGES],
    *[(("employee",), act, each, False) for act in CHANGES for each in (NOBODY_IN_IT, WAS_IN_IT)],
    *[(("guest",), act, RUNS_IT, act == "LeaveConversation") for act in CHANGES],
    *[(("it_admin",), act, RUNS_IT, False) for act in CHANGES],
    *[((role,), act, RUNS_IT, False) for act in CHANGES for role in STAFF],
    (("employee",), "SendMessage", HEARS, False),
    (("employee",), "SendMessage", ANNOUNCES, True),
    (("guest",), "SendMessage", HEARS, False),
    (("employee",), "ReadConversation", HEARS, True),
    (("employee",), "ReadConversation", OVER, True),
    (("employee",), "SendMessage", OVER, False),
    (("employee",), "ChangeParticipants", OVER, False),
    (("employee",), "ChangeConversation", OVER, False),
    (("employee",), "ArchiveConversation", OVER, True),
    (("employee",), "LeaveConversation", OVER, True),
    (("employee",), "ReviseMessage", OWN_AMONG_ANNOUNCEMENTS, False),
    (("employee",), "RetractMessage", OWN_AMONG_ANNOUNCEMENTS, True),
    (("employee",), "ReviseMessage", OWN_ANNOUNCEMENT, True),
    *[(("employee",), act, OWN_ARCHIVED, False) for act in AMENDMENTS],
    *[((role,), "RunImport", ORGANISATION, role == "compliance_officer") for role in (*STAFF, *OTHERS)],
    *[((role,), "DecideImport", ORGANISATION, role in STAFF[:2]) for role in (*STAFF, *OTHERS)],
    *[((role,), "SeeImports", ORGANISATION, role in (*STAFF[:2], "auditor")) for role in (*STAFF, *OTHERS)],
    *[(("employee",), act, OWN, True) for act in AMENDMENTS],
    *[(("guest",), act, OWN, True) for act in AMENDMENTS],
    *[(("it_admin",), act, OWN, False) for act in AMENDMENTS],
    *[(("guest", "it_admin"), act, OWN, False) for act in AMENDMENTS],
    *[(("employee", "it_admin"), act, OWN, True) for act in AMENDMENTS],
    *[((role,), act, OWN, False) for act in AMENDMENTS for role in STAFF],
    *[
        (("employee",), act, each, False)
        for act in AMENDMENTS
        for each in (OWN_LATE, OWN_AND_LEFT, OWN_IMPORTED, OTHERS_IN_TIME)
    ],
    (("employee",), "ReviseMessage", MODERATED, False),
    (("employee",), "RetractMessage", MODERATED, True),
    (("guest",), "RetractMessage", MODERATED, False),
    *[
        (("employee",), "RetractMessage", each, False)
        for each in (NOT_MODERATED, MODERATED_FOR_TWO, MODERATED_AND_LEFT)
    ],
    *[((role,), "ChangeAmendmentRules", ORGANISATION, role == "it_admin") for role in (*STAFF, *OTHERS)],
    (("employee",), "ReadAmendmentRules", ORGANISATION, True),
    (("reviewer",), "ReadAmendmentRules", ORGANISATION, False),
    ((), "ReadConversation", IN_IT, False),
    ((), "SearchPeople", ORGANISATION, False),
    (("invented",), "SearchPeople", ORGANISATION, False),
    ((), "ReadMe", Facts("Person", OURS, frozenset({"self"})), True),
    (("it_admin",), "ReadMe", Facts("Person", OURS), False),
]


def name_of(part: object) -> str:
    """Return the same name for a part of an example in every worker: a set has no order of its own."""
    if isinstance(part, Facts):
        return f"{part.kind}({','.join(sorted(part.holding))})"
    return "+".join(part) if isinstance(part, tuple) else str(part)


@pytest.mark.parametrize(("roles", "action", "resource", "allowed"), EXAMPLES, ids=name_of)
def test_the_policies_decide_as_the_table_says(roles, action, resource, allowed):
    assert AUTHORIZER.allows(actor(*roles), action, resource) is allowed


@pytest.mark.parametrize(("roles", "action", "resource", "allowed"), EXAMPLES, ids=name_of)
def test_nothing_is_allowed_in_another_organisation(roles, action, resource, allowed):
    foreign = Facts(resource.kind, THEIRS, resource.holding)
    assert not AUTHORIZER.allows(actor(*roles), action, foreign)


def test_no_roles_without_employee_or_guest_ever_read_whatever_holds():
    facts = ("participant", "former_participant", "administrator", "direct")
    for flags in product([False, True], repeat=len(facts)):
        resource = conversation(*[fact for fact, holds in zip(facts, flags, strict=True) if holds])
        for action in ("ReadConversation", "SendMessage", "ChangeParticipants"):
            assert not AUTHORIZER.allows(actor("it_admin", *STAFF), action, resource)


@pytest.mark.parametrize(
    ("roles", "action", "resource", "allowed"), [e for e in EXAMPLES if not e[3]], ids=name_of
)
def test_what_is_forbidden_cannot_be_told_from_what_is_absent(roles, action, resource, allowed):
    with pytest.raises(NotFound) as forbidden:
        AUTHORIZER.access(actor(*roles), action, resource)
    with pytest.raises(NotFound) as absent:
        AUTHORIZER.access(actor(*roles), action, None, kind=resource.kind)
    assert repr(forbidden.value) == repr(absent.value)


def test_what_is_allowed_may_be_accessed():
    AUTHORIZER.access(actor("employee"), "ReadConversation", IN_IT)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("ReadEverything", IN_IT),
        ("ReadConversation", Facts("Diary", OURS)),
        ("ReadConversation", conversation("particpant")),
        ("ReadConversation", conversation("same_tenant")),
        ("ReadConversation", ORGANISATION),
    ],
    ids=str,
)
def test_a_question_that_the_schema_does_not_know_is_an_error_of_the_program(action, resource):
    with pytest.raises(ValueError):
        AUTHORIZER.allows(actor("employee"), action, resource)


def test_a_decision_is_remembered_by_its_facts_and_the_memory_is_bounded():
    authorizer = Authorizer(POLICIES, remembered=2)
    for resource in (IN_IT, WAS_IN_IT, NOBODY_IN_IT, IN_IT):
        assert authorizer.allows(actor("employee"), "ReadConversation", resource) is (
            resource is not NOBODY_IN_IT
        )
        assert len(authorizer._decisions) <= 2


def test_a_remembered_decision_asks_cedar_no_more(monkeypatch):
    authorizer = Authorizer(POLICIES)
    employee = actor("employee")
    authorizer.allows(employee, "SendMessage", IN_IT)
    monkeypatch.delattr(authorizer, "_policies")
    assert authorizer.allows(employee, "SendMessage", IN_IT)


def test_a_policy_that_contradicts_the_schema_stops_the_program(tmp_path):
    (tmp_path / "schema.cedarschema").write_text((POLICIES / "schema.cedarschema").read_text())
    (tmp_path / "a.cedar").write_text("permit (principal, action, resource) when { resource.colour == 1 };")
    with pytest.raises(PoliciesRefused):
        Authorizer(tmp_path)


def test_every_policy_says_its_name():
    for page in POLICIES.glob("*.cedar"):
        text = page.read_text()
        assert text.count("@id(") == text.count("permit (") + text.count("forbid (")
