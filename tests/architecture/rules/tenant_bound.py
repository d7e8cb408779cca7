"""Every statement on a table of tenants names the tenant, beside the policy that row-level security adds.

The policy keeps tenants apart; the name in the statement keeps the plan on the tenant's part of every
index, and on its shard where tables are distributed.
"""

import ast
from collections.abc import Collection, Iterable, Iterator

from sqlglot import exp

from tests.architecture.rules.sources import Source, calls_in, parsed
from tests.architecture.rules.statements import Statement, data_trees_of, is_migration, tables_in

_TENANT = "tenant"
_SCOPES = (exp.Select, exp.Update, exp.Delete, exp.Merge)


def tenant_tables_of(sources: Iterable[Source]) -> set[str]:
    """Return the tables ("schema.table") that migrations bind to a tenant by `tenant_table(op, "…")`."""
    return {
        table
        for source in sources
        if source.room == "store"
        for call in calls_in(parsed(source))
        if isinstance(call.func, ast.Name) and call.func.id == "tenant_table"
        for argument in call.args[1:2]
        if isinstance(argument, ast.Constant) and isinstance(table := argument.value, str)
    }


def unbound_statements(
    statements: Iterable[Statement], tenant_tables: Collection[str], crossing: Collection[str] = ()
) -> list[str]:
    """Return a sentence for each use of one of `tenant_tables` ("schema.table") without its tenant.

    An INSERT must fill the column; SELECT, UPDATE and DELETE must compare it (=, IN, ANY, a row, USING).
    A statement whose place (`path`) stands in `crossing` is let through.
    """
    return [
        f"{statement.place}: {table} is used without its tenant"
        for statement in statements
        if not is_migration(statement) and statement.path not in crossing
        for tree in data_trees_of(statement.text) or ()
        for table in _unbound_in(tree, tenant_tables)
    ]


def _unbound_in(tree: exp.Expression, tenant_tables: Collection[str]) -> Iterator[str]:
    for table in tables_in(tree):
        name = f"{table.db}.{table.name}"
        if name in tenant_tables and not _is_bound(table):
            yield name


def _is_bound(table: exp.Table) -> bool:
    """Tell whether the statement around `table` fills or compares the tenant of this very table."""
    insert = table.find_ancestor(exp.Insert)
    if insert is not None and _target_of(insert) is table:
        return any(column.name == _TENANT for column in _columns_of(insert))
    scope = table.find_ancestor(*_SCOPES)
    return scope is not None and any(_compares_tenant(part, table) for part in _predicates_of(scope))


def _target_of(insert: exp.Insert) -> exp.Expression | None:
    """Return the table into which rows go."""
    target: exp.Expression | None = insert.this
    return target.this if isinstance(target, exp.Schema) else target


def _columns_of(insert: exp.Insert) -> list[exp.Expression]:
    """Return the columns that an INSERT fills, none when it does not name them."""
    target = insert.this
    return list(target.expressions) if isinstance(target, exp.Schema) else []


def _predicates_of(scope: exp.Expression) -> Iterator[exp.Expression]:
    """Yield the WHERE of a statement, the conditions of its joins and the columns of their USING."""
    where = scope.args.get("where")
    if where is not None:
        yield where
    froms = [scope.args.get("from_"), scope.args.get("from"), scope.args.get("using"), scope.args.get("this")]
    holders = [scope, *(part for part in froms if isinstance(part, exp.Expression))]
    for holder in holders:
        for join in _joins_below(holder):
            if join.args.get("on") is not None:
                yield join.args["on"]
            yield from join.args.get("using") or ()


def _joins_below(holder: exp.Expression) -> Iterator[exp.Join]:
    """Yield the joins of this statement, not those of a subquery."""
    own = holder if isinstance(holder, _SCOPES) else holder.find_ancestor(*_SCOPES)
    return (join for join in holder.find_all(exp.Join) if join.find_ancestor(*_SCOPES) is own)


def _compares_tenant(predicate: exp.Expression, table: exp.Table) -> bool:
    """Tell whether `predicate` compares the tenant column of `table`."""
    if isinstance(predicate, exp.Identifier):
        return predicate.name == _TENANT
    names = {"", table.alias_or_name}
    return any(
        column.name == _TENANT
        and column.table in names
        and column.find_ancestor(exp.EQ, exp.In, exp.Join) is not None
        for column in predicate.find_all(exp.Column)
    )
