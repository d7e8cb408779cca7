"""Names that may stand in SQL without quotes, so that no statement is ever built from anything else."""

import re

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")


def identifier_of(name: str) -> str:
    """Return `name` when it is a plain lower-case identifier; raises ValueError otherwise."""
    if _IDENTIFIER.fullmatch(name) is None:
        msg = f"{name!r} is not a plain lower-case SQL name"
        raise ValueError(msg)
    return name


def table_of(qualified: str) -> tuple[str, str]:
    """Return (schema, table) of "schema.table"; raises ValueError for anything else."""
    schema, separator, table = qualified.partition(".")
    if not separator:
        msg = f"{qualified!r} names no schema: write schema.table"
        raise ValueError(msg)
    return identifier_of(schema), identifier_of(table)


def owner_of(service: str) -> str:
    """Return the role that owns the schema of `service`; no process signs in with it."""
    return f"{identifier_of(service)}_owner"


def app_role_of(service: str) -> str:
    """Return the role of the service's processes, bound to one tenant at a time."""
    return f"{identifier_of(service)}_app"
