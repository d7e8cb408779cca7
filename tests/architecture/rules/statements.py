"""What stores say to PostgreSQL, read out of their string constants and parsed."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.architecture.rules.sources import Source, parsed, string_constants_of, text_of

_STATEMENT = re.compile(
    r"^\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+.*\sSET\s|DELETE\s+FROM\s|WITH\s+(RECURSIVE\s+)?\w+.*\sAS\s"
    r"|MERGE\s+INTO\s|TRUNCATE\s|COPY\s|LOCK\s+TABLE\s|(CREATE|ALTER|DROP)\s+(OR\s+REPLACE\s+)?[A-Z]+\s"
    r"|GRANT\s.*\sON\s|REVOKE\s.*\sON\s)",
    re.IGNORECASE | re.DOTALL,
)
_DATA = (exp.Select, exp.Insert, exp.Update, exp.Delete, exp.Merge)
_NAMED_PARAMETER = re.compile(r"%\(\w+\)[sbt]")
_PARAMETER = re.compile(r"%[sbt]")


class Statement(NamedTuple):
    """One SQL text where it stands."""

    path: str
    line: int
    service: str
    text: str

    @property
    def place(self) -> str:
        """The place for a person."""
        return f"{self.path}:{self.line}"


def statements_of(sources: Iterable[Source]) -> list[Statement]:
    """Return every SQL statement in the stores (migrations included) of `sources`."""
    return [
        Statement(source.path, line, source.service, text)
        for source in sources
        if source.service is not None and source.room == "store"
        for line, text in _texts_in(source)
        if _STATEMENT.match(text)
    ]


def is_migration(statement: Statement) -> bool:
    """Tell whether a statement changes the schema's history rather than answering a request."""
    return "/migrations/" in statement.path


@cache
def trees_of(text: str) -> tuple[exp.Expression, ...] | None:
    """Return the parsed statements of a text, None when the parser cannot read it.

    Parameters (`%s`, `%(name)s`, `%b`) stand as `$1`, unknown parts of f-strings as a name.
    """
    readable = _PARAMETER.sub("$1", _NAMED_PARAMETER.sub("$1", text)).replace("%%", "%")
    try:
        trees = sqlglot.parse(readable, read="postgres")
        return tuple(tree for tree in trees if isinstance(tree, exp.Expression))
    except SqlglotError:
        return None


def data_trees_of(text: str) -> tuple[exp.Expression, ...] | None:
    """Return the statements of a text that read or write rows, None when the parser cannot read it."""
    trees = trees_of(text)
    return None if trees is None else tuple(tree for tree in trees if isinstance(tree, _DATA))


def tables_in(tree: exp.Expression) -> list[exp.Table]:
    """Return the tables that a statement names: no common table expression, alias or function."""
    known = {cte.alias for cte in tree.find_all(exp.CTE)}
    known |= {table.alias for table in tree.find_all(exp.Table) if table.alias}
    known |= {alias.name for alias in tree.find_all(exp.TableAlias)}
    return [
        table
        for table in tree.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier) and (table.db or table.name not in known)
    ]


def _texts_in(source: Source) -> Iterator[tuple[int, str]]:
    """Yield line and text of each outermost string expression that is no docstring."""
    known = string_constants_of(source)
    stack: list[ast.AST] = [parsed(source)]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        text = text_of(node, known) if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp) else None
        if text is not None and isinstance(node, ast.expr):
            yield node.lineno, text
        else:
            stack.extend(ast.iter_child_nodes(node))
