"""The migrated databases themselves: tenants are bound, and only the declared roles cross them."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from libs.db.introspection import (
    crossing_grants_in,
    crossing_policies_in,
    powerful_roles_among,
    unbound_tables_in,
)
from libs.db.roles import read_crossing_roles, roles_of
from tests.architecture.rules.catalogue import keys_that_start_elsewhere, rights_that_differ
from tests.architecture.rules.sources import ROOT
from tests.support.engines import ServiceDatabase

SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "store").is_dir())

# Keys that do not start with the tenant, each with its reason.
OTHER_KEYS = {
    "outbox_pkey": "ordered by partition and position, for every tenant",
    "parked_pkey": "replayed in the order of partition and position",
    "dead_letter_pkey": "found by the worker and the event that it could not act on",
    "revocation_in_order": "revocations are numbered for the whole platform: a service knows one position",
    "tenant_slug_key": "a slug leads to a tenant before any tenant is known",
}


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def catalogue(
    service: str, database_of: Callable[[str], ServiceDatabase]
) -> Iterator[psycopg.Connection[Any]]:
    """Connect as the administrator; whatever a test plants is rolled back."""
    with psycopg.connect(database_of(service).admin_dsn.reveal()) as connection:
        yield connection
        connection.rollback()


def declared_grants(service: str) -> set[Any]:
    """Return the rights that policies/database/cross_tenant_roles.toml gives in a service's schema."""
    return {grant for role in read_crossing_roles() if role.service == service for grant in role.grants}


def test_every_tenant_table_is_bound_to_the_tenant(service: str, catalogue: psycopg.Connection[Any]):
    assert unbound_tables_in(catalogue, service) == []


@pytest.mark.planted
def test_a_table_whose_policy_is_off_is_caught(service: str, catalogue: psycopg.Connection[Any]):
    catalogue.execute(f"CREATE TABLE {service}.planted (tenant uuid NOT NULL)")
    assert unbound_tables_in(catalogue, service) == [f"{service}.planted"]


@pytest.mark.planted
def test_a_table_whose_owner_passes_its_policy_is_caught(service: str, catalogue: psycopg.Connection[Any]):
    catalogue.execute(f"ALTER TABLE {service}.outbox NO FORCE ROW LEVEL SECURITY")
    assert unbound_tables_in(catalogue, service) == [f"{service}.outbox"]


def test_crossing_roles_have_exactly_the_declared_columns(service: str, catalogue: psycopg.Connection[Any]):
    assert rights_that_differ(declared_grants(service), crossing_grants_in(catalogue, service)) == []


@pytest.mark.planted
@pytest.mark.parametrize("right", ["INSERT (position)", "TRUNCATE", "DELETE"])
def test_a_right_that_nobody_declared_is_caught(service: str, catalogue: psycopg.Connection[Any], right: str):
    catalogue.execute(f"GRANT {right} ON {service}.outbox_head TO {service}_publisher")
    differences = rights_that_differ(declared_grants(service), crossing_grants_in(catalogue, service))
    assert len(differences) == 1
    assert differences[0].endswith("is granted and not declared")


@pytest.mark.planted
def test_a_right_that_is_missing_is_caught(service: str, catalogue: psycopg.Connection[Any]):
    catalogue.execute(f"REVOKE SELECT (body) ON {service}.outbox FROM {service}_publisher")
    assert rights_that_differ(declared_grants(service), crossing_grants_in(catalogue, service)) == [
        f"{service}_publisher: SELECT (body) on {service}.outbox is declared and not granted"
    ]


def test_only_declared_roles_pass_the_policies(service: str, catalogue: psycopg.Connection[Any]):
    declared = {
        f"{role.name} on {table}"
        for role in read_crossing_roles()
        if role.service == service
        for table in role.tables
    }
    assert crossing_policies_in(catalogue, service) <= declared


@pytest.mark.planted
def test_a_policy_for_everybody_is_caught(service: str, catalogue: psycopg.Connection[Any]):
    before = crossing_policies_in(catalogue, service)
    catalogue.execute(f"CREATE POLICY planted ON {service}.outbox TO PUBLIC USING (true)")
    assert crossing_policies_in(catalogue, service) != before


def test_no_role_of_a_service_is_above_the_policies(service: str, catalogue: psycopg.Connection[Any]):
    assert powerful_roles_among(catalogue, roles_of(service, read_crossing_roles())) == []


@pytest.mark.planted
def test_a_role_above_the_policies_is_caught(service: str, catalogue: psycopg.Connection[Any]):
    catalogue.execute("CREATE ROLE planted_role BYPASSRLS")
    assert powerful_roles_among(catalogue, ["planted_role"]) == ["planted_role"]


def test_the_tenant_is_the_first_column_of_every_key(service: str, catalogue: psycopg.Connection[Any]):
    assert keys_that_start_elsewhere(catalogue, service, OTHER_KEYS) == []


@pytest.mark.planted
def test_a_key_that_starts_elsewhere_is_caught(service: str, catalogue: psycopg.Connection[Any]):
    catalogue.execute(f"CREATE TABLE {service}.planted (seq bigint, tenant uuid, PRIMARY KEY (seq, tenant))")
    found = keys_that_start_elsewhere(catalogue, service, OTHER_KEYS)
    assert found == [f"{service}.planted: the key planted_pkey does not start with the tenant"]
