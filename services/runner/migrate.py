"""Brings the databases of a deployment to the newest revision of each service's history."""

from collections.abc import Iterable

import psycopg
from psycopg import sql

from infra.engines.postgres import PostgresServer
from libs.db.migrations import login_roles_of, migrate
from libs.kernel.secrets import Secret
from services.runner.deployment import DATABASES, SERVICES, Deployment
from services.runner.errors import RunnerError


def login_roles() -> tuple[str, ...]:
    """Return every database role that signs in, of every service."""
    return tuple(role for service in SERVICES for role in login_roles_of(service))


def migrate_services(deployment: Deployment, services: Iterable[str]) -> int:
    """Make what is missing of the databases of `services` and run their migrations; return 0."""
    for service in services:
        create_database(deployment.cluster_of(service), DATABASES[service])
        passwords = {role: deployment.password_of(role) for role in login_roles_of(service)}
        migrate(service, deployment.admin_dsn(service), passwords)
    return 0


def create_database(cluster: PostgresServer, name: str) -> None:
    """Make the database `name` if it is missing."""
    with psycopg.connect(cluster.admin_dsn().reveal(), autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def migrate_elsewhere(service: str, admin_dsn: Secret, passwords: dict[str, Secret]) -> None:
    """Run the migrations of `service` in a database that this machine does not run."""
    if service not in SERVICES:
        raise RunnerError(f"There is no service {service!r}; there are: {', '.join(SERVICES)}.")
    try:
        migrate(service, admin_dsn, passwords)
    except psycopg.OperationalError:
        raise RunnerError(f"The database of {service} cannot be reached.") from None
