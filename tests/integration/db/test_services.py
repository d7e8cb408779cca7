"""The databases of the real services keep the rules that the sample keeps."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from libs.db.introspection import (
    crossing_grants_in,
    crossing_policies_in,
    powerful_roles_among,
    unbound_tables_in,
)
from libs.db.migrations import login_roles_of
from libs.db.names import owner_of
from libs.db.roles import read_crossing_roles
from tests.support.engines import ServiceDatabase

SERVICES = sorted({role.service for role in read_crossing_roles()})


@pytest.fixture(params=SERVICES)
def migrated(
    request: pytest.FixtureRequest, database_of: Callable[[str], ServiceDatabase]
) -> Iterator[tuple[str, psycopg.Connection]]:
    database = database_of(request.param)
    with psycopg.connect(database.admin_dsn.reveal(), autocommit=True) as connection:
        yield request.param, connection


def test_crossing_roles_have_exactly_the_rights_of_the_published_table(
    migrated: tuple[str, psycopg.Connection],
) -> None:
    service, connection = migrated
    roles = [role for role in read_crossing_roles() if role.service == service]
    assert crossing_grants_in(connection, service) == {grant for role in roles for grant in role.grants}
    allowed = {f"{role.name} on {table}" for role in roles for table in role.tables}
    assert crossing_policies_in(connection, service) <= allowed


def test_every_tenant_table_of_a_service_is_bound(migrated: tuple[str, psycopg.Connection]) -> None:
    service, connection = migrated
    assert unbound_tables_in(connection, service) == []


def test_no_role_of_a_real_service_has_power_over_others(migrated: tuple[str, psycopg.Connection]) -> None:
    service, connection = migrated
    assert powerful_roles_among(connection, (owner_of(service), *login_roles_of(service))) == []
