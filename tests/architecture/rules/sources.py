"""The house's source texts, read once."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ("libs", "services", "infra")


class Source(NamedTuple):
    """One module: its path below the root, with forward slashes, and its text."""

    path: str
    text: str

    @property
    def service(self) -> str | None:
        """The service that the module belongs to, None outside `services/`."""
        parts = self.path.split("/")
        return parts[1] if parts[0] == "services" and len(parts) > 2 else None

    @property
    def room(self) -> str | None:
        """The room inside the service (`store`, `edge`, `wiring`), None outside `services/`."""
        return self.path.split("/")[2].removesuffix(".py") if self.service else None


@cache
def shipped_sources() -> tuple[Source, ...]:
    """Return every module that is part of the distribution."""
    return tuple(
        Source(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
        for package in SHIPPED
        for path in sorted((ROOT / package).rglob("*.py"))
    )


@cache
def parsed(source: Source) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(source.text, filename=source.path)


def module_name_of(source: Source) -> str:
    """Return the dotted name under which a module is imported."""
    return source.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def string_constants_of(source: Source) -> dict[str, str]:
    """Return the string constants that a module has by name: its own top-level ones, and imported ones.

    F-strings of known constants are among them: a part of a statement may stand in a module of its own.
    """
    known: dict[str, str] = {}
    for statement in parsed(source).body:
        if isinstance(statement, ast.ImportFrom) and statement.module is not None:
            imported = _constants_in(statement.module)
            named = {each.asname or each.name: each.name for each in statement.names}
            known |= {name: imported[there] for name, there in named.items() if there in imported}
            continue
        target, value = _assignment_of(statement)
        if target is not None and value is not None:
            text = text_of(value, known)
            if text is not None:
                known[target] = text
    return known


def text_of(node: ast.expr, known: dict[str, str]) -> str | None:
    """Return the text of a string expression, as far as constants decide it.

    A part of an f-string that only running could tell becomes the name `unknown_part`. None for anything
    that is no string.
    """
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_part_of(part, known) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            first, second = text_of(left, known), text_of(right, known)
            return None if first is None or second is None else first + second
        case ast.Name(id=name):
            return known.get(name)
        case _:
            return None


def calls_in(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield every call."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


@cache
def _constants_in(module: str) -> dict[str, str]:
    """Return the string constants of a shipped module; none of any other."""
    path = f"{module.replace('.', '/')}.py"
    return next((string_constants_of(each) for each in shipped_sources() if each.path == path), {})


def _part_of(part: ast.expr, known: dict[str, str]) -> str:
    match part:
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=ast.Name(id=name)) if name in known:
            return known[name]
        case ast.FormattedValue(value=ast.Constant(value=value)):
            return str(value)
        case _:
            return "unknown_part"


def _assignment_of(statement: ast.stmt) -> tuple[str | None, ast.expr | None]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            return name, value
        case _:
            return None, None
