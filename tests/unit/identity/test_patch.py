"""A PATCH is all or nothing, pure, and reads every dialect."""

import copy

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libs.kernel.errors import DomainError
from services.identity.domain.errors import InvalidPath, InvalidSyntax, InvalidValue, NoTarget, NotMutable
from services.identity.domain.scim.documents import checked
from services.identity.domain.scim.patch import PATCH_OP, operations_of, patched
from services.identity.domain.scim.schema import ENTERPRISE

ADA = {
    "userName": "ada",
    "active": True,
    "name": {"givenName": "Ada"},
    "emails": [
        {"value": "w@x.test", "type": "work", "primary": True},
        {"value": "h@x.test", "type": "home"},
    ],
}


def change(*operations, document=ADA):
    return patched(document, operations_of({"schemas": [PATCH_OP], "Operations": list(operations)}))


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "ADD", "path": "title", "value": "Dr"}, {"title": "Dr"}),
        (
            {"op": "add", "path": "NAME.FAMILYNAME", "value": "L"},
            {"name": {"givenName": "Ada", "familyName": "L"}},
        ),
        ({"op": "remove", "path": "name"}, {"name": None}),
        (
            {"op": "replace", "path": "name", "value": {"familyName": "K"}},
            {"name": {"givenName": "Ada", "familyName": "K"}},
        ),
        (
            {"op": "add", "path": "emails", "value": [{"value": "n@x.test", "primary": True}]},
            {
                "emails": [
                    {"value": "w@x.test", "type": "work", "primary": False},
                    {"value": "h@x.test", "type": "home"},
                    {"value": "n@x.test", "primary": True},
                ]
            },
        ),
        ({"op": "add", "path": "emails", "value": {"value": "h@x.test", "type": "home"}}, {}),
        (
            {"op": "replace", "path": "emails", "value": [{"value": "o@x.test"}]},
            {"emails": [{"value": "o@x.test"}]},
        ),
        (
            {"op": "remove", "path": "emails", "value": [{"value": "W@X.test"}]},
            {"emails": [{"value": "h@x.test", "type": "home"}]},
        ),
        ({"op": "remove", "path": "emails"}, {"emails": None}),
        (
            {"op": "remove", "path": 'emails[type eq "work"]'},
            {"emails": [{"value": "h@x.test", "type": "home"}]},
        ),
        (
            {"op": "remove", "path": 'emails[type eq "WORK" and value eq "w@x.test"].primary'},
            {"emails": [{"value": "w@x.test", "type": "work"}, {"value": "h@x.test", "type": "home"}]},
        ),
        (
            {"op": "replace", "path": 'emails[type eq "home"].primary', "value": True},
            {
                "emails": [
                    {"value": "w@x.test", "type": "work", "primary": False},
                    {"value": "h@x.test", "type": "home", "primary": True},
                ]
            },
        ),
        (
            {"op": "replace", "path": 'phoneNumbers[type eq "mobile"].value', "value": "1"},
            {"phoneNumbers": [{"type": "mobile", "value": "1"}]},
        ),
        (
            {"op": "replace", "value": {"id": "x", "schemas": [], "meta": {}, "title": "Dr", "unknown": 1}},
            {"title": "Dr"},
        ),
        (
            {"op": "add", "value": {ENTERPRISE: {"department": "D", "manager.value": "m"}}},
            {ENTERPRISE: {"department": "D", "manager": {"value": "m"}}},
        ),
        ({"op": "add", "path": ENTERPRISE, "value": {"Department": "D"}}, {ENTERPRISE: {"department": "D"}}),
        ({"op": "replace", "path": "displayName", "value": None}, {}),
    ],
    ids=str,
)
def test_each_operation_changes_what_it_names(operation, expected):
    wanted = {name: value for name, value in {**ADA, **expected}.items() if value is not None}
    assert change(operation) == wanted


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ({"op": "remove"}, NoTarget),
        ({"op": "replace", "path": 'emails[type eq "other"]', "value": {"value": "x"}}, NoTarget),
        ({"op": "replace", "path": "emails[type eq work].value", "value": "x"}, InvalidPath),
        ({"op": "replace", "path": 'emails[type co "w"].value', "value": "x"}, InvalidPath),
        ({"op": "replace", "path": "colour", "value": "x"}, InvalidPath),
        ({"op": "replace", "path": "emails[", "value": "x"}, InvalidPath),
        ({"op": "replace", "path": 'name[type eq "x"]', "value": "x"}, InvalidPath),
        ({"op": "replace", "path": "x" * 600, "value": "x"}, InvalidPath),
        ({"op": "replace", "path": 5, "value": "x"}, InvalidPath),
        ({"op": "replace", "path": "id", "value": "x"}, NotMutable),
        ({"op": "replace", "path": "meta.created", "value": "x"}, NotMutable),
        ({"op": "remove", "path": "userName"}, InvalidValue),
        ({"op": "replace", "path": "active", "value": "perhaps"}, InvalidValue),
        ({"op": "replace", "value": "x"}, InvalidValue),
        ({"op": "add", "path": "emails", "value": [5]}, InvalidValue),
        ({"op": "move", "path": "title"}, InvalidSyntax),
        ({"path": "title"}, InvalidSyntax),
        ("text", InvalidSyntax),
    ],
    ids=str,
)
def test_an_operation_that_cannot_be_done_is_refused_and_undoes_the_others(operation, error):
    before = copy.deepcopy(ADA)
    with pytest.raises(error):
        change({"op": "replace", "path": "title", "value": "Dr"}, operation)
    assert before == ADA


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "type", "primary", "x", "name.givenName"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
PATHS = (
    st.none()
    | st.sampled_from(
        [
            "userName",
            "active",
            "name",
            "name.givenName",
            "emails",
            "emails.value",
            'emails[type eq "work"].value',
            "emails[primary eq true]",
            "roles",
            ENTERPRISE,
            f"{ENTERPRISE}:manager",
            "id",
            "",
            "[",
            "a.b.c",
        ]
    )
    | st.text(max_size=10)
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"op": st.sampled_from(["add", "replace", "remove"]), "path": PATHS, "value": VALUES}
        ),
        min_size=1,
        max_size=4,
    )
)
@example(
    [
        {"op": "add", "path": "name", "value": []},
        {"op": "add", "path": "name", "value": {}},
        {"op": "add", "path": "name.givenName", "value": "Ada"},
    ]
)
def test_whatever_is_sent_the_result_is_a_sound_document_or_one_refusal(operations):
    before = copy.deepcopy(ADA)
    try:
        document = change(*operations)
    except DomainError:
        pass
    else:
        assert checked(document) == document
    assert before == ADA
