"""Brings the databases of a deployment to the newest revision of each service's history."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from infra.engines.postgres import PostgresServer
from libs.db.migrations import head_of, login_roles_of, migrate
from libs.kernel.secrets import Secret
from services.runner.deployment import DATABASES, SERVICES, Deployment, read_facts
from services.runner.errors import RunnerError


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


@dataclass(frozen=True)
class Target:
    """A database of a service, as its administrator; the roles that are named get these passwords."""

    admin: Secret
    passwords: Mapping[str, Secret]


def read_targets(config: Path) -> dict[str, Target]:
    """Return the databases that the file `config` names, one table for each service."""
    try:
        tables = tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise RunnerError(f"The settings file {config} cannot be read.") from None
    targets: dict[str, Target] = {}
    for service, table in tables.items():
        if not isinstance(table, dict) or not isinstance(table.get("admin"), str):
            raise RunnerError(f"[{service}] in {config} lacks `admin`, the administrator's address.")
        passwords = {role: Secret(str(word)) for role, word in table.get("passwords", {}).items()}
        targets[service] = Target(Secret(table["admin"]), passwords)
    return targets


def running_targets(data: Path) -> dict[str, Target]:
    """Return the databases of the deployment that runs on `data`; their roles keep their passwords."""
    databases = read_facts(data)["databases"]
    return {service: Target(Secret(admin), {}) for service, admin in databases.items()}


def migrate_all(targets: Mapping[str, Target], services: Iterable[str]) -> dict[str, str | None]:
    """Migrate the databases of `services` and return the revision of each."""
    done: dict[str, str | None] = {}
    for service in services:
        if service not in SERVICES:
            raise RunnerError(f"There is no service {service!r}; there are: {', '.join(SERVICES)}.")
        if service not in targets:
            raise RunnerError(f"No database is given for {service}.")
        try:
            migrate(service, targets[service].admin, targets[service].passwords)
        except psycopg.OperationalError:
            raise RunnerError(f"The database of {service} cannot be reached.") from None
        done[service] = head_of(service)
    return done
