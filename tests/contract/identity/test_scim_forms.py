"""What SCIM clients get is what RFC 7643 and 7644 say, as scim2-models reads them."""

import json
from datetime import UTC, datetime
from uuid import UUID

from scim2_models import EnterpriseUser, Error, ListResponse, ServiceProviderConfig, User

from libs.contracts.problems import Problem
from libs.kernel.ids import PrincipalId
from services.identity.domain.principals import Principal
from services.identity.domain.scim.documents import document_of, facts_of
from services.identity.domain.scim.schema import CORE, ENTERPRISE
from services.identity.edge.scim_forms import list_of, resource_of, scim_error, service_provider_config

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BODY = {
    "schemas": [CORE, ENTERPRISE],
    "userName": "bjensen@example.com",
    "externalId": "701984",
    "name": {"familyName": "Jensen", "givenName": "Barbara", "honorificPrefix": "Ms."},
    "displayName": "Babs Jensen",
    "emails": [{"value": "bjensen@example.com", "type": "work", "primary": True}],
    "addresses": [{"type": "work", "streetAddress": "100 Universal City Plaza", "country": "US"}],
    "phoneNumbers": [{"value": "555-555-5555", "type": "work"}],
    ENTERPRISE: {"employeeNumber": "701984", "manager": {"value": "26118915"}},
}


def resource():
    document = document_of(BODY)
    facts = facts_of(document)
    principal = Principal(
        principal=PrincipalId(UUID(int=7)),
        user_name=facts.user_name,
        external_id=facts.external_id,
        display_name=facts.display_name,
        active=facts.active,
        email_keys=facts.email_keys,
        document=document,
        version=3,
        created_at=NOON,
        modified_at=NOON,
    )
    return resource_of(principal, "https://acme.test/scim/v2/acme/Users/7")


def test_a_user_is_one_for_a_client_of_the_standard():
    user = User[EnterpriseUser].model_validate(resource())
    assert user.user_name == "bjensen@example.com"
    assert user.meta is not None
    assert user.meta.version == 'W/"3"'
    assert user.meta.created == NOON
    assert user[EnterpriseUser].manager.value == "26118915"


def test_a_list_is_one_for_a_client_of_the_standard():
    page = ListResponse[User[EnterpriseUser]].model_validate(list_of([resource()], 12, 4))
    assert (page.total_results, page.start_index, page.items_per_page) == (12, 4, 1)
    assert page.resources is not None
    name = page.resources[0].name
    assert name is not None
    assert name.family_name == "Jensen"


def test_an_error_is_one_for_a_client_of_the_standard():
    problem = Problem(
        type="urn:problem:scim-uniqueness",
        title="Not unique",
        status=409,
        code="scim-uniqueness",
        detail="Another user has this userName.",
    )
    answer = scim_error(problem)
    error = Error.model_validate(json.loads(bytes(answer.body)))
    assert answer.status_code == 409
    assert error.status == 409
    assert error.scim_type == "uniqueness"


def test_what_the_server_can_is_told_as_the_standard_has_it():
    config = ServiceProviderConfig.model_validate(service_provider_config("https://acme.test/config"))
    assert config.patch is not None
    assert config.patch.supported
    assert config.etag is not None
    assert config.etag.supported
