"""Who may do what with a matter, what lies in its scope, and where a query's words stand in a text."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.authz.authorizer import Authorizer
from libs.kernel.ids import ConversationId, MessageId, PrincipalId, TenantId
from services.ediscovery.domain.access import (
    ADD_MEMBER,
    CREATE_MATTER,
    DECIDE_PRODUCTION,
    READ_LAG,
    READ_MATTER,
    READ_PRODUCTION,
    REQUEST_PRODUCTION,
    SEARCH_MATTER,
    TAKE_PRODUCTION,
    matter_of,
    organisation,
)
from services.ediscovery.domain.documents import DocumentKey, document_of
from services.ediscovery.domain.errors import MatterRefused
from services.ediscovery.domain.highlights import excerpt_of, marks_in
from services.ediscovery.domain.matters import Bounds, decide_bounds
from services.ediscovery.domain.oracle import matches
from services.ediscovery.domain.query import Prefix, Term, parse

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADA, BEN = PrincipalId(uuid4()), PrincipalId(uuid4())
PLANS, OTHER = ConversationId(uuid4()), ConversationId(uuid4())
TENANT = TenantId(uuid4())
NONE = Bounds(frozenset(), frozenset(), None, None)
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
LETTERS = st.sampled_from("ab éß東🎉.-x\u0301 ")


@dataclass(frozen=True)
class Person:
    """Somebody of the tenant, with one role."""

    roles: frozenset[str]
    tenant: TenantId = TENANT
    principal: PrincipalId = ADA


def those_who_may(action: str, *, member: bool | None = None, tenant: TenantId = TENANT) -> set[str]:
    authorizer = Authorizer(Path("policies/authz"))
    resource = organisation(tenant) if member is None else matter_of(tenant, member=member)
    return {role for role in ROLES if authorizer.allows(Person(frozenset({role})), action, resource)}


def test_members_alone_look_into_a_matter() -> None:
    assert those_who_may(CREATE_MATTER) == {"legal_counsel"}
    assert those_who_may(READ_MATTER, member=True) == {"legal_counsel", "reviewer"}
    assert those_who_may(SEARCH_MATTER, member=True) == {"legal_counsel", "reviewer"}
    assert those_who_may(ADD_MEMBER, member=True) == {"legal_counsel"}
    assert those_who_may(REQUEST_PRODUCTION, member=True) == {"legal_counsel"}
    assert those_who_may(TAKE_PRODUCTION, member=True) == {"legal_counsel"}
    assert those_who_may(DECIDE_PRODUCTION, member=True) == {"legal_counsel", "compliance_officer"}
    assert those_who_may(READ_PRODUCTION, member=True) == {"legal_counsel", "reviewer", "compliance_officer"}
    productions = (REQUEST_PRODUCTION, TAKE_PRODUCTION, DECIDE_PRODUCTION, READ_PRODUCTION)
    for action in (READ_MATTER, SEARCH_MATTER, ADD_MEMBER, *productions):
        assert those_who_may(action, member=False) == set()
        assert those_who_may(action, member=True, tenant=TenantId(uuid4())) == set()
    assert those_who_may(READ_LAG) == set(ROLES) - {"employee", "guest", "key_custodian"}


@pytest.mark.parametrize(
    ("bounds", "within"),
    [
        (NONE, True),
        (Bounds(frozenset({ADA}), frozenset(), None, None), True),
        (Bounds(frozenset({BEN}), frozenset(), None, None), False),
        (Bounds(frozenset(), frozenset({PLANS}), None, None), True),
        (Bounds(frozenset(), frozenset({OTHER}), None, None), False),
        (Bounds(frozenset({ADA}), frozenset({OTHER}), None, None), False),
        (Bounds(frozenset(), frozenset(), NOON, NOON + HOUR), True),
        (Bounds(frozenset(), frozenset(), NOON - HOUR, NOON), False),
    ],
)
def test_a_scope_includes_what_all_of_its_limits_allow(bounds: Bounds, within: bool) -> None:
    document = document_of(DocumentKey(PLANS, 1), MessageId(uuid4()), NOON, ADA, [ADA], "zebra")
    assert bounds.includes(document) is within


@pytest.mark.parametrize(
    ("bounds", "everything"),
    [
        (NONE, False),
        (Bounds(frozenset({ADA}), frozenset(), None, None), True),
        (Bounds(frozenset({ADA}), frozenset(), NOON, NOON), False),
    ],
)
def test_a_scope_that_is_empty_or_open_by_mistake_is_refused(bounds: Bounds, everything: bool) -> None:
    with pytest.raises(MatterRefused):
        decide_bounds(bounds, everything=everything)


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("The Zebra report", "zebra", ["Zebra"]),
        ("zebras and Zebra", "zebra*", ["zebras", "Zebra"]),
        ("a zebra or an okapi", "zebra NOT okapi", ["zebra"]),
        ("the quarterly zebra", '"quarterly zebra"', ["quarterly", "zebra"]),
        ("co\u00adoperate now", "cooperate", ["co\u00adoperate"]),
        ("STRASSE or Straße", "strasse", ["STRASSE", "Straße"]),
        ("e\u0301tude", "étude", ["e\u0301tude"]),
        ("東京都庁", "京", ["京"]),
        ("well 🎉 done", "🎉", ["🎉"]),
        ("nothing here", "zebra", []),
    ],
)
def test_the_words_of_a_query_are_marked_where_they_stand(text: str, query: str, marked: list[str]) -> None:
    assert [text[mark.begin : mark.end] for mark in marks_in(text, parse(query))] == marked


@given(st.text(LETTERS, max_size=40), st.sampled_from(["a", "ss", "東", "🎉", "é"]))
def test_what_matches_has_a_mark(text: str, word: str) -> None:
    document = document_of(DocumentKey(PLANS, 1), MessageId(uuid4()), NOON, ADA, [ADA], text)
    for query in (Term(word), Prefix(word)):
        if matches(query, document):
            assert marks_in(text, query)


def test_an_excerpt_begins_a_little_before_the_first_word() -> None:
    text = "x" * 500 + " the zebra " + "y" * 500
    excerpt = excerpt_of(text, Term("zebra"))
    (mark,) = excerpt.marks
    assert excerpt.text[mark.begin : mark.end] == "zebra"
    assert text[excerpt.at :].startswith(excerpt.text)
    assert len(excerpt.text) <= 300
    assert excerpt_of("short", Term("zebra")) == ("short", 0, ())
