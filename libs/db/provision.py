"""Roles and schema of one service, made before its first migration and brought up to date by later ones."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import Connection, sql

from libs.db.names import app_role_of, identifier_of, owner_of
from libs.kernel.secrets import Secret

_ATTEMPTS = 20
_RACES = (
    psycopg.errors.InternalError_,  # "tuple concurrently updated", by the provision of another database
    psycopg.errors.DuplicateObject,
    psycopg.errors.UniqueViolation,
)


def provision(
    connection: Connection[Any], service: str, roles: Iterable[str], passwords: Mapping[str, Secret]
) -> None:
    """Make the owner, the schema and the `roles` of `service`; set the given passwords.

    Roles belong to the whole cluster: several databases may be provisioned at once, and a race over a
    role's row is run again. `connection` is an administrator's, in autocommit.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with connection.transaction():
                _provision_once(
                    connection, identifier_of(service), tuple(map(identifier_of, roles)), passwords
                )
        except _RACES:
            if attempt == _ATTEMPTS:
                raise
            time.sleep(0.02 * attempt)  # real time: the rival is another process's transaction
        else:
            return


def _provision_once(
    connection: Connection[Any], service: str, roles: tuple[str, ...], passwords: Mapping[str, Secret]
) -> None:
    owner = owner_of(service)
    _make_role(connection, owner, login=False)
    for role in roles:
        _make_role(connection, role, login=True)
        if role in passwords:
            _set_password(connection, role, passwords[role])
    _join_owner(connection, owner)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {owner}")
    connection.execute(f"GRANT USAGE ON SCHEMA {service} TO {', '.join((app_role_of(service), *roles))}")
    _close_database(connection, (owner, *roles))


def _make_role(connection: Connection[Any], role: str, *, login: bool) -> None:
    """Create `role` when it is missing, and leave it no power over others in any case."""
    exists = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is not None
    if not exists:
        kind = "LOGIN" if login else "NOLOGIN"
        connection.execute(
            f"CREATE ROLE {role} {kind} NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOBYPASSRLS"
        )


def _set_password(connection: Connection[Any], role: str, password: Secret) -> None:
    """Set the password by its SCRAM verifier, so that no server log can hold the password itself."""
    verifier = connection.pgconn.encrypt_password(password.reveal().encode(), role.encode(), b"scram-sha-256")
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
        sql.Identifier(role), sql.Literal(verifier.decode())
    )
    connection.execute(statement)


def _join_owner(connection: Connection[Any], owner: str) -> None:
    """Let an administrator who is no superuser act as the owner of what the migrations make."""
    statement = "SELECT pg_has_role(current_user, %s, 'SET')"
    row = connection.execute(statement, (owner,)).fetchone()
    if row is None or not row[0]:
        connection.execute(f"GRANT {owner} TO CURRENT_USER WITH SET TRUE, INHERIT FALSE")


def _close_database(connection: Connection[Any], roles: tuple[str, ...]) -> None:
    """Let only provisioned roles into the database, and nobody into its public schema."""
    database = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    names = sql.SQL(", ").join(map(sql.Identifier, roles))
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, names))
