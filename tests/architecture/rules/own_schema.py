"""A service's SQL names its own schema and no other."""

import re
from collections.abc import Collection, Iterable

from sqlglot import exp

from tests.architecture.rules.statements import Statement, data_trees_of, is_migration, tables_in

_CATALOGUES = {"pg_catalog", "information_schema"}


def foreign_names(statements: Iterable[Statement], schemas: Collection[str]) -> list[str]:
    """Return a sentence for each table that is unqualified, or stands in another schema than the service's.

    `schemas` are the schemas of all services; the text of every statement is searched for their names too,
    so that what the parser does not understand cannot hide one. A statement that reads or writes rows and
    cannot be parsed is a breach: nobody could say what it names.
    """
    return [
        f"{statement.place}: {breach}"
        for statement in statements
        for breach in _breaches_of(statement, schemas)
    ]


def _breaches_of(statement: Statement, schemas: Collection[str]) -> list[str]:
    others = "|".join(re.escape(schema) for schema in schemas if schema != statement.service)
    found = re.findall(rf'(?<![\w.])"?({others})"?\s*\.\s*"?\w', statement.text) if others else []
    breaches = [f"names the schema {name}" for name in sorted(set(found))]
    trees = data_trees_of(statement.text)
    if trees is None:
        return breaches if is_migration(statement) else [*breaches, "cannot be parsed"]
    return breaches + [breach for tree in trees for breach in _unqualified_in(tree, statement.service)]


def _unqualified_in(tree: exp.Expression, schema: str) -> list[str]:
    """Return the tables that do not stand in `schema` by name (other services' names are found by text)."""
    allowed = _CATALOGUES | {schema, "unknown_part"}
    return [
        f"names {table.sql('postgres')} without the schema {schema}"
        for table in tables_in(tree)
        if table.db not in allowed and not (table.db == "" and table.name.startswith(("pg_", "unknown_part")))
    ]
